using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// Whether a follower site that has nothing of the leader site's catalogue waits for something: one without tables has a catalogue of revision 0, and who does not pull it cannot tell that from one that has not
/// come yet. Asks the leader site until the catalogue has come. Thread-safe.
/// </summary>
/// <param name="revision">Of the catalogue on this node.</param>
internal sealed class FirstTables(ILeaderSite leader, Func<long> revision, TimeProvider time)
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(500);

    private volatile bool _areNone;

    /// <summary>The leader site said last that it has no table.</summary>
    public bool AreNone => _areNone;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (revision() == 0)
            {
                _areNone = await HasNoneAsync(cancellationToken);
                await Task.Delay(AskAgain, time, cancellationToken);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The node stops.
        }
    }

    private async Task<bool> HasNoneAsync(CancellationToken cancellationToken)
    {
        try
        {
            return (await leader.TablesAsync(cancellationToken)).Names.Count == 0;
        }
        catch (LeaderSiteException)
        {
            // What it last said may have changed since.
            return false;
        }
    }
}
