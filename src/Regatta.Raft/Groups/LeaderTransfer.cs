namespace Regatta.Raft;

/// <summary>
/// Moves a group's leadership to a node: the leader stops to propose, lets what is on its way end, and asks the node to stand for election at once. The others vote although they hear
/// from a leader. The node gets no votes, and no new term begins, as long as it lacks an entry. Writes that wait go to the new leader.
/// </summary>
/// <remarks>Raft dissertation, section 3.10.</remarks>
internal sealed class LeaderTransfer(long groupId, GroupSetting setting, Func<long> leaderNodeId, Func<bool> leads, Batcher batcher)
{
    /// <summary>How long the node may try; writes wait for about as long at most.</summary>
    public static readonly TimeSpan CampaignTime = TimeSpan.FromSeconds(1.5);

    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(20);

    private int _isRunning;

    /// <summary>From any node. Returns when this node knows the other one as the leader.</summary>
    /// <returns>Null: it leads. Else why not.</returns>
    public async ValueTask<string?> MoveAsync(long nodeId, CancellationToken cancellationToken)
    {
        if (!setting.Members.Ids.Contains(nodeId))
            return $"Node {nodeId} is no node of this site.";
        long began = setting.Time.GetTimestamp();
        string obstacle = "The table's group has no leader that this node can reach.";
        while (leaderNodeId() != nodeId)
        {
            if (leads())
                obstacle = await HandOverAsync(nodeId, cancellationToken).ConfigureAwait(false) ?? obstacle;
            else if (leaderNodeId() is var leader && leader != 0 && setting.Members.Peer(leader) is { } peer)
                obstacle = await AskAsync(peer, nodeId, cancellationToken).ConfigureAwait(false) ?? obstacle;
            if (leaderNodeId() == nodeId)
                break;
            if (setting.Time.GetElapsedTime(began) >= setting.Options.LeaderTimeout)
                return obstacle;
            await Task.Delay(AskAgain, setting.Time, cancellationToken).ConfigureAwait(false);
        }

        return null;
    }

    /// <summary>As the leader.</summary>
    /// <returns>Null: the node leads now. Else why not; then this node may lead still, or nobody.</returns>
    public async Task<string?> HandOverAsync(long nodeId, CancellationToken cancellationToken)
    {
        if (!leads())
            return "This node does not lead the table's group.";
        if (setting.Members.Peer(nodeId) is not { } peer)
            return null;
        if (!peer.IsConnected)
            return $"Node {nodeId} is not reachable.";
        if (Interlocked.Exchange(ref _isRunning, 1) != 0)
            return "The leadership is being moved already.";
        try
        {
            batcher.Hold();
            await batcher.DrainAsync().WaitAsync(CampaignTime, setting.Time, cancellationToken).ConfigureAwait(false);
            ReadOnlyMemory<byte> reply = await peer.CallAsync(groupId, PeerMethod.Campaign, default, cancellationToken)
                .WaitAsync(2 * CampaignTime, setting.Time, cancellationToken).ConfigureAwait(false);
            return RaftMessages.DecodeNumber(reply) == 1 ? null : $"Node {nodeId} did not get the votes: it may lag behind.";
        }
        catch (Exception e) when (e is TimeoutException or PeerUnavailableException or PeerCallException or InvalidDataException)
        {
            return $"Node {nodeId} could not take over: {e.Message}";
        }
        finally
        {
            batcher.Resume();
            Volatile.Write(ref _isRunning, 0);
        }
    }

    private async Task<string?> AskAsync(IPeer leader, long nodeId, CancellationToken cancellationToken)
    {
        try
        {
            ReadOnlyMemory<byte> reply = await leader.CallAsync(groupId, PeerMethod.Transfer, RaftMessages.Numbers(nodeId), cancellationToken)
                .WaitAsync(setting.Options.LeaderTimeout, setting.Time, cancellationToken).ConfigureAwait(false);
            return RaftMessages.DecodeOutcome(reply).Reason;
        }
        catch (Exception e) when (e is TimeoutException or PeerUnavailableException or PeerCallException or InvalidDataException)
        {
            return e.Message;
        }
    }
}
