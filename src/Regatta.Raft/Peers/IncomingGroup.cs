namespace Regatta.Raft;

/// <summary>A request that another node has sent.</summary>
/// <param name="Id">The other side's number for it.</param>
internal readonly record struct IncomingRequest(long Group, uint Id, PeerMethod Method, byte[] Body)
{
    public long Cost => PeerNetworkOptions.CostOf(Body.Length);
}

/// <summary>
/// The requests of one group: started one after the other in their order, off the reader, without waiting for one another's end. Thread-safe.
/// </summary>
/// <param name="start">Starts a request and returns as soon as its handler waits for something; does not throw.</param>
internal sealed class IncomingGroup(Action<IncomingRequest> start) : IThreadPoolWorkItem
{
    private readonly Lock _gate = new();
    private readonly Queue<IncomingRequest> _requests = new();
    private bool _isStarting;
    private long _bytes;

    /// <summary>Bytes of requests that have no reply yet.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    public void Add(IncomingRequest request)
    {
        Interlocked.Add(ref _bytes, request.Cost);
        lock (_gate)
        {
            _requests.Enqueue(request);
            if (_isStarting)
                return;
            _isStarting = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    public void Leave(IncomingRequest request) => Interlocked.Add(ref _bytes, -request.Cost);

    void IThreadPoolWorkItem.Execute()
    {
        while (true)
        {
            IncomingRequest request;
            lock (_gate)
            {
                if (!_requests.TryDequeue(out request))
                {
                    _isStarting = false;
                    return;
                }
            }

            start(request);
        }
    }
}
