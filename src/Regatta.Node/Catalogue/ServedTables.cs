using Google.Protobuf;
using Grpc.Core;

namespace Regatta.Node;

/// <summary>
/// What the services look tables up in. The reconciler publishes snapshots; a node that stops or has failed closes it for good, and
/// nothing is answered as a success from then on. Reads are one volatile load.
/// </summary>
internal sealed class ServedTables
{
    private volatile TableSnapshot _snapshot = TableSnapshot.Empty;
    private volatile Rejection? _closed;

    public TableSnapshot Snapshot => _snapshot;

    /// <summary>Why nothing is served; null while tables are.</summary>
    public Rejection? Closed => _closed;

    /// <exception cref="RpcException">There is no such table, it is out of order, or the node does not serve (any more).</exception>
    public ServedTable Get(ByteString name)
    {
        if (_snapshot.TryGet(name.Span, out ServedTable? table) && _closed is null)
            return table;
        throw (_closed ?? _snapshot.Fault(name.Span) ?? Sentences.TableNotFound).ToException();
    }

    public void Publish(TableSnapshot snapshot) => _snapshot = snapshot;

    /// <summary>The first reason stays.</summary>
    public void Close(string reason) => _closed ??= new Rejection(StatusCode.Unavailable, reason);
}
