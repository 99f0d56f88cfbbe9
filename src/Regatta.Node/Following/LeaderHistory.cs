using Microsoft.Extensions.Logging;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// Which history a follower site belongs to: that of the leader site, asked for once, at the site's first start. Until then there is nothing to serve, so that start waits for the leader
/// site; later ones do not.
/// </summary>
internal sealed partial class LeaderHistory(ILeaderSite leader, StartProgress progress, TimeProvider time, ILogger<LeaderHistory> logger)
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(500);

    /// <exception cref="NodeStartException">The leader site is of the Go project.</exception>
    public async Task<Guid> AskAsync(CancellationToken cancellationToken)
    {
        string said = "";
        while (true)
        {
            try
            {
                LeaderTables tables = await leader.TablesAsync(cancellationToken);
                return tables.History
                    ?? throw new NodeStartException("replication.leader-address: the leader site there is one of the Go project, which this version cannot follow yet");
            }
            catch (LeaderSiteException e)
            {
                progress.Say($"the first start of a follower site needs the leader site: {e.Message}");
                if (said != e.Message)
                    LogWaits(e.Message);
                said = e.Message;
            }

            await Task.Delay(AskAgain, time, cancellationToken);
        }
    }

    [LoggerMessage(LogLevel.Warning, "The first start of a follower site waits for the leader site: {Reason}.")]
    private partial void LogWaits(string reason);
}
