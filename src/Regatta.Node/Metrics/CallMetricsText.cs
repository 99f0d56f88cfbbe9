using System.Globalization;
using System.Text;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>Writes <see cref="CallStatistics"/> in Prometheus' text format, under the names of the Go project's gRPC metrics.</summary>
internal static class CallMetricsText
{
    public static void Write(CallStatistics calls, StringBuilder text)
    {
        MethodStatistics[] methods = [.. calls.Methods];
        PrometheusText.Header(text, "grpc_server_started_total", "counter", "Calls that were started.");
        foreach (MethodStatistics method in methods)
            text.Append(CultureInfo.InvariantCulture, $"grpc_server_started_total{{{Labels(method)}}} {method.StartedCount}\n");
        PrometheusText.Header(text, "grpc_server_handled_total", "counter", "Calls that ended, by status code.");
        foreach (MethodStatistics method in methods)
        {
            foreach (StatusCode code in Enum.GetValues<StatusCode>().Where(code => method.HandledCount(code) > 0))
                text.Append(CultureInfo.InvariantCulture, $"grpc_server_handled_total{{{Labels(method)},grpc_code=\"{code}\"}} {method.HandledCount(code)}\n");
        }
        PrometheusText.Header(text, "grpc_server_handling_seconds", "histogram", "Time from a request's last byte to the decision on its status.");
        foreach (MethodStatistics method in methods.Where(method => method.StartedCount > 0))
            WriteHistogram(method, text);
    }

    private static void WriteHistogram(MethodStatistics method, StringBuilder text)
    {
        long[] buckets = method.Buckets();
        long total = 0;
        for (int i = 0; i < buckets.Length; i++)
        {
            total += buckets[i];
            string bound = i < MethodStatistics.Bounds.Length ? MethodStatistics.Bounds[i].ToString(CultureInfo.InvariantCulture) : "+Inf";
            text.Append(CultureInfo.InvariantCulture, $"grpc_server_handling_seconds_bucket{{{Labels(method)},le=\"{bound}\"}} {total}\n");
        }
        text.Append(CultureInfo.InvariantCulture, $"grpc_server_handling_seconds_sum{{{Labels(method)}}} {method.Seconds}\n");
        text.Append(CultureInfo.InvariantCulture, $"grpc_server_handling_seconds_count{{{Labels(method)}}} {total}\n");
    }

    private static string Labels(MethodStatistics method) => $"grpc_service=\"{method.Service}\",grpc_method=\"{method.Name}\"";
}
