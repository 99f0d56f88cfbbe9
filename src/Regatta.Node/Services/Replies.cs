using System.Buffers.Binary;
using System.Collections.Immutable;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Regatta.Core;
using Regatta.Protocol.Mvcc;
using Regatta.Protocol.V1;
using Regatta.Protocol.V1Ext;

namespace Regatta.Node;

/// <summary>Core's results as messages of the wire. Byte strings wrap the memory they get: nothing is copied before serialization.</summary>
internal static class Replies
{
    public static KeyValue Pair(ByteString key, in RecordHeader header, ReadOnlyMemory<byte> value) => new()
    {
        Key = key,
        Value = Bytes(value),
        CreateRevision = header.CreateRevision,
        ModRevision = header.ModRevision,
        Version = header.Version,
    };

    public static KeyValue Pair(KeyRecord record) => Pair(Bytes(record.Key), record.Header, record.Value);

    public static RangeResponse Range(RangePage page, ResponseHeader header)
    {
        RangeResponse reply = new() { Header = header, More = page.More, Count = page.Count };
        Fill(reply.Kvs, page.Records);
        return reply;
    }

    public static PutResponse Put(PutResult result, ResponseHeader header) =>
        new() { Header = header, PrevKv = result.Previous is { } previous ? Pair(previous) : null };

    public static DeleteRangeResponse Delete(DeleteRangeResult result, ResponseHeader header)
    {
        DeleteRangeResponse reply = new() { Header = header, Deleted = result.Deleted };
        Fill(reply.PrevKvs, result.Previous);
        return reply;
    }

    public static TxnResponse Txn(TxnResult result, ResponseHeader header)
    {
        TxnResponse reply = new() { Header = header, Succeeded = result.Succeeded };
        reply.Responses.Capacity = result.Responses.Length;
        foreach (TxnOpResult operation in result.Responses)
            reply.Responses.Add(Operation(operation));
        return reply;
    }

    /// <summary>16 bytes, big endian: in the order in which the number is printed.</summary>
    public static NodeHash NodeHash(NodeHashes node) => node.Failure is { } failure
        ? new NodeHash { NodeId = (ulong)node.NodeId, Revision = (ulong)node.Revision, Error = failure.Sentence }
        : new NodeHash
        {
            NodeId = (ulong)node.NodeId,
            Revision = (ulong)node.Revision,
            Hash = node.Content is { } content ? Hash(content.Value) : ByteString.Empty,
            ChainHash = Hash(node.Chain.Value),
        };

    /// <exception cref="IOException">They are not 16 bytes.</exception>
    public static UInt128 HashOf(ByteString bytes) =>
        bytes.Length == 16 ? BinaryPrimitives.ReadUInt128BigEndian(bytes.Span) : throw new IOException("a node's answer holds a malformed hash");

    public static ByteString Hash(UInt128 value)
    {
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, value);
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }

    private static ResponseOp Operation(TxnOpResult operation)
    {
        switch (operation)
        {
            case TxnOpResult.Range range:
                ResponseOp.Types.Range ranged = new() { More = range.More, Count = range.Count };
                Fill(ranged.Kvs, range.Records);
                return new ResponseOp { ResponseRange = ranged };
            case TxnOpResult.Put put:
                return new ResponseOp { ResponsePut = new ResponseOp.Types.Put { PrevKv = put.Previous is { } previous ? Pair(previous) : null } };
            case TxnOpResult.DeleteRange delete:
                ResponseOp.Types.DeleteRange deleted = new() { Deleted = delete.Deleted };
                Fill(deleted.PrevKvs, delete.Previous);
                return new ResponseOp { ResponseDeleteRange = deleted };
            default:
                throw new InvalidOperationException($"no reply for {operation.GetType().Name}");
        }
    }

    private static void Fill(RepeatedField<KeyValue> pairs, ImmutableArray<KeyRecord> records)
    {
        if (records.IsDefaultOrEmpty)
            return;
        pairs.Capacity = records.Length;
        foreach (KeyRecord record in records)
            pairs.Add(Pair(record));
    }

    public static ByteString Bytes(ReadOnlyMemory<byte> bytes) => bytes.IsEmpty ? ByteString.Empty : UnsafeByteOperations.UnsafeWrap(bytes);
}
