using System.Buffers;
using System.Globalization;
using Google.Protobuf.Collections;
using Regatta.Protocol.Mvcc;
using Regatta.Protocol.V1;

namespace Regatta.Cli;

/// <summary>Prints what a transaction gave. The request is needed too: a reply does not say whether values were asked for.</summary>
internal sealed class TxnReply(TxnRequest request, TxnResponse reply)
{
    private RepeatedField<RequestOp> Branch => reply.Succeeded ? request.Success : request.Failure;

    public void Write(OutputSink output, OutputFormat format)
    {
        if (format is OutputFormat.Json or OutputFormat.JsonLines)
            WriteJson(output);
        else
            WriteLines(output, asTable: format == OutputFormat.Table);
    }

    private void WriteLines(OutputSink output, bool asTable)
    {
        output.WriteLine(reply.Succeeded ? "SUCCESS" : "FAILURE");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"revision {reply.Header?.Revision ?? 0}"));
        foreach ((RequestOp asked, ResponseOp given) in Branch.Zip(reply.Responses))
        {
            switch (given.ResponseCase)
            {
                case ResponseOp.ResponseOneofCase.ResponseRange when asked.RequestRange.CountOnly:
                    output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"count {given.ResponseRange.Count}"));
                    break;
                case ResponseOp.ResponseOneofCase.ResponseRange:
                    WritePairs(output, given.ResponseRange.Kvs, asTable, asked.RequestRange.KeysOnly);
                    break;
                case ResponseOp.ResponseOneofCase.ResponsePut:
                    output.WriteLine("put");
                    WritePairs(output, given.ResponsePut.PrevKv is { } pair ? new() { pair } : [], asTable, keysOnly: false);
                    break;
                default:
                    WriteDeleted(output, asked.RequestDeleteRange, given.ResponseDeleteRange, asTable);
                    break;
            }
        }
    }

    private static void WriteDeleted(OutputSink output, RequestOp.Types.DeleteRange asked, ResponseOp.Types.DeleteRange given, bool asTable)
    {
        bool counted = asked.Count || asked.PrevKv;
        output.WriteLine(counted ? string.Create(CultureInfo.InvariantCulture, $"deleted {given.Deleted}") : "deleted");
        WritePairs(output, given.PrevKvs, asTable, keysOnly: false);
    }

    private static void WritePairs(OutputSink output, RepeatedField<KeyValue> pairs, bool asTable, bool keysOnly)
    {
        if (asTable && pairs.Count > 0)
        {
            KeyValuePrinter.PrintTable(output, pairs, keysOnly);
            return;
        }
        foreach (KeyValue pair in pairs)
            KeyValuePrinter.PrintLine(output, pair, keysOnly);
    }

    private void WriteJson(OutputSink output)
    {
        KeyValueJson.WriteNumber(output, "{\"revision\":"u8, (long)(reply.Header?.Revision ?? 0));
        output.Write(reply.Succeeded ? ",\"succeeded\":true,\"responses\":["u8 : ",\"succeeded\":false,\"responses\":["u8);
        bool first = true;
        foreach ((RequestOp asked, ResponseOp given) in Branch.Zip(reply.Responses))
        {
            if (!first)
                output.Write(","u8);
            first = false;
            WriteJson(output, asked, given);
        }
        output.WriteLine("]}");
    }

    private static void WriteJson(OutputSink output, RequestOp asked, ResponseOp given)
    {
        switch (given.ResponseCase)
        {
            case ResponseOp.ResponseOneofCase.ResponseRange:
                KeyValueJson.WriteNumber(output, "{\"range\":{\"count\":"u8, given.ResponseRange.Count);
                output.Write(given.ResponseRange.More ? ",\"more\":true"u8 : ",\"more\":false"u8);
                if (!asked.RequestRange.CountOnly)
                {
                    output.Write(",\"kvs\":"u8);
                    KeyValueJson.WriteList(output, given.ResponseRange.Kvs, !asked.RequestRange.KeysOnly);
                }
                break;
            case ResponseOp.ResponseOneofCase.ResponsePut:
                output.Write("{\"put\":{"u8);
                if (given.ResponsePut.PrevKv is { } pair)
                {
                    output.Write("\"prev_kv\":"u8);
                    KeyValueJson.Write(output, pair, withValue: true, withRevisions: true);
                }
                break;
            default:
                KeyValueJson.WriteNumber(output, "{\"delete_range\":{\"deleted\":"u8, given.ResponseDeleteRange.Deleted);
                output.Write(",\"prev_kvs\":"u8);
                KeyValueJson.WriteList(output, given.ResponseDeleteRange.PrevKvs, withValue: true);
                break;
        }
        output.Write("}}"u8);
    }
}
