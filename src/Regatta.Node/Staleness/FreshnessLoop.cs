using Microsoft.Extensions.Logging;

namespace Regatta.Node;

/// <summary>Keeps what is known of the leader site recent: a round, again and again, for as long as the node runs.</summary>
internal sealed partial class FreshnessLoop : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly Func<CancellationToken, Task> _round;
    private readonly ILogger _logger;
    private readonly Task _running;

    public FreshnessLoop(Func<CancellationToken, Task> round, TimeSpan interval, TimeProvider time, ILogger<FreshnessLoop> logger)
    {
        _round = round;
        _logger = logger;
        _running = RunAsync(interval, time);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _running;
        _stopping.Dispose();
    }

    private async Task RunAsync(TimeSpan interval, TimeProvider time)
    {
        using PeriodicTimer timer = new(interval, time);
        try
        {
            do
            {
                await RoundAsync();
            }
            while (await timer.WaitForNextTickAsync(_stopping.Token));
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // The node stops.
        }
    }

    // A round that fails must not be the last: bounds would only grow from then on.
    private async Task RoundAsync()
    {
        try
        {
            await _round(_stopping.Token);
        }
        catch (Exception e) when (!_stopping.IsCancellationRequested)
        {
            LogFailed(e);
        }
    }

    [LoggerMessage(LogLevel.Warning, "How recent the tables are could not be found out this time.")]
    private partial void LogFailed(Exception e);
}
