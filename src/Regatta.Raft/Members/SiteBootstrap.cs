using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// How a node gets to know its site. A site is founded once, by the node with the lowest id, when a majority of the others say that they know of none; the stores of
/// those are its founders. Whoever comes later, or with another disk, joins what is there and recovers first. A node with an empty disk that hears neither of a
/// site nor from enough others waits.
/// </summary>
/// <param name="newHistory">The history of a site that is founded; may take long.</param>
internal sealed partial class SiteBootstrap(
    NodeDirectory directory, SiteMembers members, Func<CancellationToken, Task<Guid>> newHistory, StartProgress progress, TimeProvider time, ILogger<SiteBootstrap> logger)
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan QuietTime = TimeSpan.FromSeconds(3);

    private readonly Lock _joining = new();

    /// <summary>Completes when the node belongs to a site.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        long began = time.GetTimestamp();
        int others = members.Ids.Length - 1;
        bool isSaid = false;
        Guid? history = null;
        while (directory.Identity.Standing == NodeStanding.New)
        {
            SiteKnowledge[] known = await AskAsync(cancellationToken).ConfigureAwait(false);
            if (known.FirstOrDefault(other => other.History != Guid.Empty) is { } site)
                Join(site);
            else if (directory.Identity.NodeId == members.Ids[0] && known.Length >= Majority(others))
            {
                // What the others know may have changed by the time that there is a history: they are asked again.
                if (history is { } made)
                    await FoundAsync(made, known, cancellationToken).ConfigureAwait(false);
                else
                    history = await newHistory(cancellationToken).ConfigureAwait(false);
            }
            else
            {
                progress.Say(
                    $"its disk is empty, and no node that it reaches belongs to a site; start the others, node {members.Ids[0]} founds the site as soon as {Majority(others)} of "
                    + $"{others} others answer it ({known.Length} of {others} answer this node)");
                // Nodes that are started together need a moment to find each other.
                if (!isSaid && time.GetElapsedTime(began) >= QuietTime)
                {
                    LogWaits(members.Ids[0], known.Length, others);
                    isSaid = true;
                }

                await Task.Delay(AskAgain, time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>What this node knows, for another one that asks.</summary>
    public ReadOnlyMemory<byte> Answer()
    {
        NodeIdentity identity = directory.Identity;
        return new SiteKnowledge(identity.History, identity.Store, identity.Founders).Encode();
    }

    /// <summary>Another node says that the site is founded.</summary>
    public ReadOnlyMemory<byte> OnFounded(ReadOnlyMemory<byte> message)
    {
        Join(SiteKnowledge.Decode(message));
        return Answer();
    }

    internal static int Majority(int count) => (count / 2) + 1;

    private void Join(SiteKnowledge site)
    {
        lock (_joining)
        {
            if (directory.Identity.Standing != NodeStanding.New)
                return;
#if DEBUG
            if (DebugBugs.Current == DebugBug.WipedNodeVotes)
                site = site with { Founders = [.. site.Founders, directory.Identity.Store] };
#endif
            directory.Join(site.History, site.Founders);
        }

        if (directory.Identity.Standing == NodeStanding.Member)
            LogJoined(site.History);
        else
            LogRecovers(site.History);
    }

    private async Task FoundAsync(Guid history, SiteKnowledge[] known, CancellationToken cancellationToken)
    {
        ImmutableArray<Guid> founders = [directory.Identity.Store, .. known.Select(other => other.Store)];
        SiteKnowledge site = new(history, directory.Identity.Store, founders);
        // First here, on disk: a node that hears of the site finds it here whatever happens.
        Join(site);
        LogFounded(site.History, founders.Length);
        ReadOnlyMemory<byte> message = site.Encode();
        // Who does not hear of it asks.
        await Task.WhenAll(Others().Select(peer => TryCallAsync(peer, PeerMethod.Found, message, cancellationToken))).ConfigureAwait(false);
    }

    private async Task<SiteKnowledge[]> AskAsync(CancellationToken cancellationToken)
    {
        SiteKnowledge?[] answers = await Task.WhenAll(Others().Select(peer => TryCallAsync(peer, PeerMethod.Site, default, cancellationToken))).ConfigureAwait(false);
        return [.. answers.OfType<SiteKnowledge>()];
    }

    private IEnumerable<IPeer> Others() => members.Ids.Select(members.Peer).OfType<IPeer>();

    private async Task<SiteKnowledge?> TryCallAsync(IPeer peer, PeerMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        using TimeLimit limit = new(AnswerTimeout, time, cancellationToken);
        try
        {
            return SiteKnowledge.Decode(await peer.CallAsync(0, method, request, limit.Token).ConfigureAwait(false));
        }
        catch (Exception e) when (e is IOException or InvalidDataException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    [LoggerMessage(LogLevel.Information, "The site is founded: history {History:N}, {Founders} founders.")]
    private partial void LogFounded(Guid history, int founders);

    [LoggerMessage(LogLevel.Information, "This node belongs to the site with history {History:N} from its founding on.")]
    private partial void LogJoined(Guid history);

    [LoggerMessage(LogLevel.Warning, "The site with history {History:N} does not know this node's disk: it is empty, in the place of another one. The node takes no part in a group "
        + "until it has fetched the group's state.")]
    private partial void LogRecovers(Guid history);

    [LoggerMessage(LogLevel.Warning, "This node's disk is empty, and no other node knows a site. Node {First} founds one when enough nodes say so; {Answers} of {Others} answer.")]
    private partial void LogWaits(long first, int answers, int others);
}
