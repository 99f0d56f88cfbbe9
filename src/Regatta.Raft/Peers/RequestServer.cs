using System.Text;

namespace Regatta.Raft;

/// <summary>Serves the requests that come over one connection. <see cref="Check"/> and <see cref="Add"/> are the reader's.</summary>
/// <param name="down">The connection is gone, and nobody waits for the replies.</param>
internal sealed class RequestServer(
    long peer, PeerNetworkOptions options, IPeerHandler handler, Outbox outbox, ServedCalls served, PeerJournal journal, CancellationToken down)
{
    private const int GroupsKept = 1024;
    private const int MaxMessageChars = 4096;

    private readonly Dictionary<long, IncomingGroup> _groups = [];

    /// <summary>What the other side may have under way if it keeps its own limit, twice over: limits may differ while they are being changed.</summary>
    private readonly long _limit = 2 * PeerNetworkOptions.CostOf(Math.Max(options.GroupBytesInFlight, options.MaxMessageBytes));

    /// <param name="length">Bytes of a request so far.</param>
    /// <exception cref="MalformedFrameException">The other side does not keep the limit.</exception>
    public void Check(long group, int length)
    {
        if (_groups.TryGetValue(group, out IncomingGroup? requests) && requests.Bytes + PeerNetworkOptions.CostOf(length) > _limit)
            throw new MalformedFrameException($"it sent more than {_limit} bytes of requests of group {group} without waiting for the replies");
    }

    public void Add(IncomingRequest request)
    {
        if (!_groups.TryGetValue(request.Group, out IncomingGroup? group))
        {
            ForgetIdle();
            _groups.Add(request.Group, group = NewGroup());
        }

        served.Enter();
        group.Add(request);
    }

    private IncomingGroup NewGroup()
    {
        IncomingGroup? group = null;
        return group = new IncomingGroup(request => _ = ServeAsync(group!, request));
    }

    /// <summary>Whoever closes the network waits for it, by way of the count.</summary>
    private async Task ServeAsync(IncomingGroup group, IncomingRequest request)
    {
        (FrameKind kind, ReadOnlyMemory<byte> reply) = (FrameKind.Failure, default);
        try
        {
            down.ThrowIfCancellationRequested();
            reply = await handler.HandleAsync(peer, request.Group, request.Method, request.Body, down).ConfigureAwait(false);
            if (reply.Length > options.MaxMessageBytes)
                throw new InvalidOperationException($"The reply has {reply.Length} bytes, more than the {options.MaxMessageBytes} that may be sent");
            kind = FrameKind.Reply;
        }
        catch (Exception e)
        {
            if (!down.IsCancellationRequested)
                journal.HandlerFailed(peer, request.Group, request.Method, e);
            reply = Encoding.UTF8.GetBytes(e.Message.Length <= MaxMessageChars ? e.Message : e.Message[..MaxMessageChars]);
        }

        // Before the reply, upon which the other side may send as much again.
        group.Leave(request);
        outbox.Reply(kind, request.Group, request.Id, request.Method, reply);
        served.Leave();
    }

    private void ForgetIdle()
    {
        if (_groups.Count < GroupsKept)
            return;
        foreach (long group in _groups.Where(static group => group.Value.Bytes == 0).Select(static group => group.Key).ToArray())
            _groups.Remove(group);
    }
}
