using Microsoft.Extensions.Logging;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// Brings a group to a node whose disk was lost. The disk may have promised things: it may have voted in a term, and its acknowledgement may be what an entry was committed
/// by. So the node first learns the highest term that the others know, all of them, for one that does not answer may be a candidate with the vote of that disk; then a leader whose term is not below
/// it confirms that it leads, and what that leader had applied then is the least that this node must have before it takes part again. It has voted for that leader.
/// </summary>
/// <remarks>See docs/decisions/0007, "A node without its disk".</remarks>
internal sealed partial class GroupRecovery(
    NodeDirectory directory, RaftLogStore log, SiteMembers members, GroupOptions options, StartProgress progress, TimeProvider time, ILoggerFactory loggers)
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(200);

    private readonly ILogger _logger = loggers.CreateLogger<GroupRecovery>();

    /// <summary>Completes when the group's state and log are on this node's disk; waits for the others as long as it takes.</summary>
    public async Task RunAsync(GroupSpec spec, CancellationToken cancellationToken)
    {
        string? said = null;
        progress.Say($"fetching table '{spec.Name}' for a new disk");
        while (true)
        {
            string problem;
            try
            {
                if (await TryAsync(spec, cancellationToken).ConfigureAwait(false) is not { } obstacle)
                    return;
                problem = obstacle;
            }
            catch (Exception e) when (e is PeerUnavailableException or PeerCallException or SnapshotUnavailableException or TimeoutException or InvalidDataException
                or InvalidOperationException)
            {
                problem = e.Message;
            }

            if (problem != said)
                LogWaits(spec.Name, spec.GroupId, problem);
            said = problem;
            progress.Say($"fetching table '{spec.Name}' for a new disk, which is tried again: {problem}");
            await Task.Delay(AskAgain, time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>What this node answers to <see cref="TermAsync"/> of another one.</summary>
    /// <param name="term">The group's term on this node, if it has taken part in it since its disk is this one.</param>
    public static ReadOnlyMemory<byte> Answer(long? term) => RaftMessages.Numbers(term is null ? 0 : 1, term ?? 0);

    /// <returns>Null when it is done, else what is missing.</returns>
    private async Task<string?> TryAsync(GroupSpec spec, CancellationToken cancellationToken)
    {
        TermAnswer[] answers = await Task.WhenAll(Others().Select(peer => TermAsync(peer, spec.GroupId, cancellationToken))).ConfigureAwait(false);
        if (Missing(answers) is { } missing)
            return missing;
        long least = answers.Max(static answer => answer.Term) ?? 0;
        foreach (IPeer peer in Others())
        {
            if (await LeadershipAsync(peer, spec.GroupId, cancellationToken).ConfigureAwait(false) is not { } leadership || leadership.Term < least)
                continue;
            SnapshotFetch fetch = new(directory, spec.GroupId, spec.Incarnation, new SnapshotFetchOptions(), time, loggers.CreateLogger<SnapshotFetch>());
            FetchedSnapshot fetched = await fetch.RunAsync(peer, new SnapshotOpenRequest(leadership.Index), cancellationToken).ConfigureAwait(false);
            // Before the state is in place, so that no start finds a state without it.
            await VotedAsync(spec.GroupId, leadership.Term, peer.NodeId).ConfigureAwait(false);
            await SnapshotInstall.RunAsync(directory, log, fetched with { LeaderTerm = leadership.Term }).ConfigureAwait(false);
            LogRecovered(spec.Name, spec.GroupId, fetched.Applied.Index, peer.NodeId, leadership.Term);
            return null;
        }

        return $"no node leads it in a term of at least {least}";
    }

    private static string? Missing(TermAnswer[] answers)
    {
        long[] silent = [.. answers.Where(static answer => !answer.HasCome).Select(static answer => answer.NodeId)];
        if (silent.Length > 0)
            return $"{(silent.Length == 1 ? "node" : "nodes")} {string.Join(", ", silent)} must answer first: all others must, for one that does not may have a vote of the former disk";
        int withDisk = answers.Count(static answer => answer.Term is not null);
        int least = SiteBootstrap.Majority(answers.Length);
        return withDisk < least ? $"{withDisk} of the {answers.Length} other nodes have their disks, and {least} must" : null;
    }

    private async Task<TermAnswer> TermAsync(IPeer peer, long group, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte>? reply = await TryCallAsync(peer, group, PeerMethod.Site, cancellationToken).ConfigureAwait(false);
        long? term = reply is { } came && RaftMessages.DecodePair(came) is (1, var known) ? known : null;
        return new TermAnswer(peer.NodeId, reply is not null, term);
    }

    private async Task<(long Index, long Term)?> LeadershipAsync(IPeer peer, long group, CancellationToken cancellationToken)
    {
        if (await TryCallAsync(peer, group, PeerMethod.ReadIndex, cancellationToken).ConfigureAwait(false) is not { } reply)
            return null;
        (GroupFailure failure, _, ReadOnlyMemory<byte> answer) = RaftMessages.DecodeOutcome(reply);
        return failure == GroupFailure.None ? RaftMessages.DecodePair(answer) : null;
    }

    private async Task<ReadOnlyMemory<byte>?> TryCallAsync(IPeer peer, long group, PeerMethod method, CancellationToken cancellationToken)
    {
        using TimeLimit limit = new(options.BarrierTimeout, time, cancellationToken);
        try
        {
            return await peer.CallAsync(group, method, default, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is PeerUnavailableException or PeerCallException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private async Task VotedAsync(long group, long term, long leader)
    {
        EntryLog entries = new(log, group);
        entries.OpenForRestart();
        await entries.SetTermAsync(hard => hard with { Term = term, Vote = GroupMember.IdOf(leader) }).ConfigureAwait(false);
    }

    /// <param name="Term">Null: there is no answer, or that node's disk was lost, too.</param>
    private readonly record struct TermAnswer(long NodeId, bool HasCome, long? Term);

    private IEnumerable<IPeer> Others() => members.Ids.Select(members.Peer).OfType<IPeer>();

    [LoggerMessage(LogLevel.Warning, "Table {Table} (group {Group}) is not on this node's new disk yet: {Problem}.")]
    private partial void LogWaits(string table, long group, string problem);

    [LoggerMessage(LogLevel.Information, "Table {Table} (group {Group}) is on this node's new disk up to index {Index}, from node {Node}, which leads in term {Term}.")]
    private partial void LogRecovered(string table, long group, long index, long node, long term);
}
