using Grpc.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>A write that is done, while the call that asked for it fails. Its header says where it is in the table's history.</summary>
internal sealed class WrittenException(RpcException failure, ResponseHeader header) : RpcException(failure.Status)
{
    public ResponseHeader Header { get; } = header;
}
