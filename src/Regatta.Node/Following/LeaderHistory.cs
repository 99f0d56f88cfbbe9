using Microsoft.Extensions.Logging;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// Which history a follower site belongs to: that of the leader site, or one of its own under a leader site of the Go project. Asked for once, at the site's first start. Until then there is
/// nothing to serve, so that start waits for the leader site; later ones do not.
/// </summary>
internal sealed partial class LeaderHistory(ILeaderSite leader, StartProgress progress, TimeProvider time, ILogger<LeaderHistory> logger)
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(500);

    /// <exception cref="NodeStartException">The leader site has a history that no leader site can have.</exception>
    public async Task<Guid> AskAsync(CancellationToken cancellationToken)
    {
        string said = "";
        while (true)
        {
            try
            {
                LeaderTables tables = await leader.TablesAsync(cancellationToken);
                return tables.History is { } history ? Theirs(history) : Own();
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

    private static Guid Theirs(Guid history) => !GoHistory.Is(history) ? history
        : throw new NodeStartException(
            $"replication.leader-address: the leader site there has the history {history:N}, as only a site has that follows one of the Go project; name the addresses of a leader site");

    private Guid Own()
    {
        LogFollowsGo();
        return GoHistory.Make();
    }

    [LoggerMessage(LogLevel.Warning, "The first start of a follower site waits for the leader site: {Reason}.")]
    private partial void LogWaits(string reason);

    [LoggerMessage(LogLevel.Information, "The leader site is one of the Go project: this site follows such a one from now on, and no other kind.")]
    private partial void LogFollowsGo();
}
