using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Regatta.Node;

/// <summary>Writes a meter's observable instruments in Prometheus' text format, version 0.0.4. Thread-safe: each call listens for itself.</summary>
internal static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public static void Write(Meter meter, StringBuilder text)
    {
        SortedDictionary<string, StringBuilder> families = new(StringComparer.Ordinal);
        using MeterListener listener = new();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (ReferenceEquals(instrument.Meter, meter))
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Append(Family(families, instrument), instrument.Name, tags, value));
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Append(Family(families, instrument), instrument.Name, tags, value));
        listener.Start();
        listener.RecordObservableInstruments();
        foreach (StringBuilder family in families.Values)
            text.Append(family);
    }

    public static void Header(StringBuilder text, string name, string type, string help) =>
        text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");

    /// <param name="value">Of a label: quotes, backslashes and line ends escaped.</param>
    public static string Escape(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    private static StringBuilder Family(SortedDictionary<string, StringBuilder> families, Instrument instrument)
    {
        if (!families.TryGetValue(instrument.Name, out StringBuilder? family))
        {
            families[instrument.Name] = family = new StringBuilder();
            Header(family, instrument.Name, "gauge", instrument.Description ?? "");
        }
        return family;
    }

    private static void Append(StringBuilder family, string name, ReadOnlySpan<KeyValuePair<string, object?>> tags, long value)
    {
        family.Append(name);
        for (int i = 0; i < tags.Length; i++)
            family.Append(CultureInfo.InvariantCulture, $"{(i == 0 ? '{' : ',')}{tags[i].Key}=\"{Escape(tags[i].Value?.ToString() ?? "")}\"");
        family.Append(CultureInfo.InvariantCulture, $"{(tags.Length > 0 ? "}" : "")} {value}\n");
    }
}
