using Grpc.Core;
using Regatta.Protocol.V1;

namespace Regatta.Node;

/// <summary>The KV calls at the leader site.</summary>
internal sealed class KvService(KvReads reads, Writes writes) : ReadKvService(reads)
{
    public override Task<PutResponse> Put(PutRequest request, ServerCallContext context) => writes.PutAsync(request, context);

    public override Task<DeleteRangeResponse> DeleteRange(DeleteRangeRequest request, ServerCallContext context) => writes.DeleteAsync(request, context);

    public override Task<TxnResponse> Txn(TxnRequest request, ServerCallContext context) => Reads.Transactions.RunAsync(request, context);
}
