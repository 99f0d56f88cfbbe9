using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Regatta.Node;

/// <summary>One listening port. Nothing is taken from environment, files or the process: all settings come from the node's options.</summary>
/// <param name="option">The option that gave the address, for messages.</param>
internal sealed class WebServer(string option, ListenAddress address, WebApplication application) : IAsyncDisposable
{
    private int _port;

    /// <summary>Where it listens, with the port that the system chose. After <see cref="StartAsync"/>.</summary>
    public ListenAddress Address => address with { Port = _port };

    public static WebApplicationBuilder NewBuilder(ILoggerFactory loggers, Action<KestrelServerOptions> configure)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.RemoveAll<ILoggerFactory>();
        builder.Services.AddSingleton<ILoggerFactory>(new QuietLoggers(loggers));
        builder.Services.AddSingleton<IHostLifetime>(new InertLifetime());
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            configure(kestrel);
        });
        return builder;
    }

    /// <exception cref="NodeStartException">The address cannot be had.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await application.StartAsync(cancellationToken);
        }
        catch (IOException e)
        {
            throw new NodeStartException($"{option}: cannot listen on {address}: {e.Message}", e);
        }
        string bound = application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        _port = new Uri(bound).Port;
    }

    /// <summary>Takes no new connections and calls, and waits for those that run; cuts them off when cancelled.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => application.StopAsync(cancellationToken);

    public ValueTask DisposeAsync() => application.DisposeAsync();

    /// <summary>Signals are the business of whoever runs the node: a library that takes them would keep its host from stopping as it wants.</summary>
    private sealed class InertLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
