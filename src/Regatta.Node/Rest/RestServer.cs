using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Regatta.Node;

/// <summary>The port for operators and their tools: HTTP/1.1, answers in plain text.</summary>
internal static class RestServer
{
    // Requests here have no body.
    private const long MaxBodyBytes = 4 << 10;

    /// <param name="metrics">Writes all metrics; null until the node has any.</param>
    public static WebServer Build(NodeOptions options, Readiness readiness, Func<Action<StringBuilder>?> metrics, ILoggerFactory loggers)
    {
        WebApplicationBuilder builder = WebServer.NewBuilder(loggers, kestrel =>
        {
            kestrel.Listen(options.RestAddress.EndPoint, listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.Limits.RequestHeadersTimeout = options.RestReadTimeout;
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
        });
        WebApplication application = builder.Build();
        application.MapGet("/healthz", (RequestDelegate)(context => Answer(context, StatusCodes.Status200OK, "ok\n")));
        application.MapGet("/readyz", (RequestDelegate)(context => Ready(context, readiness)));
        application.MapGet("/metrics", (RequestDelegate)(context => Metrics(context, metrics())));
        return new WebServer("rest.address", options.RestAddress, application);
    }

    private static Task Ready(HttpContext context, Readiness readiness)
    {
        IReadOnlyList<string> reasons = readiness.Reasons();
        return reasons.Count == 0
            ? Answer(context, StatusCodes.Status200OK, "ready\n")
            : Answer(context, StatusCodes.Status503ServiceUnavailable, string.Concat(reasons.Select(reason => reason + "\n")));
    }

    private static Task Metrics(HttpContext context, Action<StringBuilder>? write)
    {
        StringBuilder text = new();
        write?.Invoke(text);
        return Answer(context, StatusCodes.Status200OK, text.ToString(), PrometheusText.ContentType);
    }

    private static Task Answer(HttpContext context, int status, string text, string contentType = "text/plain; charset=utf-8")
    {
        byte[] body = Encoding.UTF8.GetBytes(text);
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        return context.Response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }
}
