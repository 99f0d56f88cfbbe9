using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>
/// In place of following the catalogue, where the leader site is one of the Go project: the node that leads this site's catalogue asks for the names of the tables and makes those that are missing here.
/// Such a leader site has no tombstones, and a name that is not in its answer says nothing certain: nothing is ever deleted.
/// </summary>
internal sealed partial class GoCatalogue(
    Catalogue catalogue, long nodeId, ILeaderSite leader, TimeSpan interval, TimeProvider time, ILogger<GoCatalogue> logger)
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(1);

    private volatile PullStatus? _status;
    private ImmutableHashSet<string> _leftOut = [];

    /// <summary>Null: another node asks, or it was not asked yet.</summary>
    public PullStatus? Status => Leads ? _status : null;

    private bool Leads => catalogue.Group.LeaderNodeId == nodeId;

    /// <summary>Runs until it is cancelled. Two that run on two nodes at a time do no harm: a name is taken once.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            TimeSpan wait = Leads ? await AskAsync(cancellationToken) : LookAgain;
            await Task.Delay(wait, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <returns>How long to wait before it is asked again.</returns>
    private async Task<TimeSpan> AskAsync(CancellationToken cancellationToken)
    {
        try
        {
            LeaderTables tables = await leader.TablesAsync(cancellationToken);
            if (tables.History is { } history)
            {
                Become(PullState.Fenced, $"fenced: the leader site there has the history {history:N}, so it is not one of the Go project, and this site has followed one that is");
                return AskAgain;
            }

            if (await MakeMissingAsync(tables.Names, cancellationToken) is { } trouble)
            {
                Become(PullState.CatchingUp, trouble);
                return AskAgain;
            }

            Become(PullState.Following, "");
            return interval;
        }
        catch (LeaderSiteException e)
        {
            Become(e.Failure == LeaderFailure.Unreachable ? PullState.LeaderUnreachable : PullState.Refused, e.Message);
        }
        catch (ObjectDisposedException)
        {
            // The catalogue's state is being exchanged, or the node stops.
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The node stops.
        }
        catch (Exception e)
        {
            // Nothing that is expected gets here.
            LogFailed(e);
            Become(PullState.Refused, "the leader site's tables could not be read: " + e.Message);
        }

        return AskAgain;
    }

    /// <returns>Why not all were made; null: they were.</returns>
    private async Task<string?> MakeMissingAsync(IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        LeaveOut(names);
        BarrierOutcome barrier = await catalogue.Group.ReadBarrierAsync(cancellationToken);
        if (!barrier.Succeeded)
            return barrier.Reason ?? "the catalogue has no leader";
        foreach (string name in names.Where(name => !_leftOut.Contains(name) && catalogue.Find(name) == 0))
        {
            ProposalOutcome outcome = await catalogue.CreateAsync(name, cancellationToken);
            if (outcome.Failure != GroupFailure.None)
                return $"table '{name}' of the leader site could not be made: {outcome.Reason}";
        }

        return null;
    }

    private void LeaveOut(IReadOnlyList<string> names)
    {
        ImmutableHashSet<string> before = _leftOut;
        _leftOut = [.. names.Where(static name => TableName.Problem(name) is not null)];
        foreach (string name in _leftOut.Except(before))
            LogLeftOut(Shown(name), TableName.Problem(name)!);
    }

    // It may be long, and hold anything.
    private static string Shown(string name) => JsonEncodedText.Encode(name.AsSpan(0, Math.Min(name.Length, TableName.MaxLength))).ToString();

    private void Become(PullState state, string reason)
    {
        PullStatus? before = _status;
        _status = new PullStatus(state, reason, 0, TimeSpan.Zero);
        if (reason.Length > 0 && before?.Reason != reason)
            LogWaits(state, reason);
        else if (reason.Length == 0 && before is { Reason.Length: > 0 })
            LogFollows();
    }

    [LoggerMessage(LogLevel.Warning, "Table \"{Name}\" of the leader site is not followed, because no table can be called so here: {Problem}.")]
    private partial void LogLeftOut(string name, string problem);

    [LoggerMessage(LogLevel.Warning, "The leader site's list of tables is not followed at the moment ({State}): {Reason}")]
    private partial void LogWaits(PullState state, string reason);

    [LoggerMessage(LogLevel.Information, "The leader site's list of tables is followed again.")]
    private partial void LogFollows();

    [LoggerMessage(LogLevel.Error, "Asking the leader site for its tables ended with an error; it is asked again.")]
    private partial void LogFailed(Exception e);
}
