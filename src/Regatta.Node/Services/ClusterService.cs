using System.Globalization;
using System.Reflection;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Regatta.Protocol.V1;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>The Cluster calls: what this node knows of its site and of itself. Served without a token, as in the Go project.</summary>
internal sealed class ClusterService(NodeOptions options, ISiteCalls site, SiteFollowing following, ServedTables served, NodeInfo info) : Cluster.ClusterBase
{
    public static string Version { get; } =
        typeof(ClusterService).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    public override async Task<MemberListResponse> MemberList(MemberListRequest request, ServerCallContext context)
    {
        MemberListResponse reply = new() { Cluster = options.ClusterName };
        reply.Members.AddRange(await Task.WhenAll(site.Members.Select(node => site.DescribeAsync(node, context.CancellationToken))));
        return reply;
    }

    public override Task<StatusResponse> Status(StatusRequest request, ServerCallContext context)
    {
        StatusResponse reply = new() { Id = Id, Version = Version, Info = info.Describe() };
        TableSnapshot tables = served.Snapshot;
        foreach (ServedTable table in tables.Tables)
        {
            if (table.TryStatus() is not { } status)
            {
                reply.Errors.Add($"table '{table.Name}' is being closed");
                continue;
            }
            reply.Tables.Add(table.Name, Describe(table, status));
            if (status.Fault is { } fault)
                reply.Errors.Add($"table '{table.Name}': {fault}");
        }
        reply.Errors.AddRange(tables.Faults.Values);
        if (request.Config)
            reply.Config = Config(options);
        return Task.FromResult(reply);
    }

    private string Id => options.RaftNodeId.ToString(CultureInfo.InvariantCulture);

    private TableStatus Describe(ServedTable table, GroupStatus status) => new()
    {
        LogSize = status.LogBytes,
        DbSize = status.StoreBytes,
        Leader = status.LeaderNodeId.ToString(CultureInfo.InvariantCulture),
        RaftIndex = (ulong)status.CommitIndex,
        RaftTerm = (ulong)status.Term,
        RaftAppliedIndex = (ulong)status.Applied.Index,
        Revision = (ulong)status.Applied.Revision,
        HistoryId = ByteString.CopyFrom(table.Incarnation.History.ToByteArray(bigEndian: true)),
        Incarnation = (ulong)table.Incarnation.Number,
        OldestRevision = (ulong)(status.OldestRevision == 0 ? status.Applied.Revision + 1 : status.OldestRevision),
        GroupId = (ulong)status.GroupId,
        ChainHash = Replies.Hash(status.Applied.Chain.Value),
        LastLogIndex = (ulong)status.LastIndex,
        FirstLogIndex = (ulong)status.FirstIndex,
        DurableIndex = (ulong)status.FlushedIndex,
        Following = following.Describe(table.Group),
    };

    private static Struct Config(NodeOptions options)
    {
        Struct config = new();
        foreach ((string name, string text) in OptionCatalog.Effective(options))
            config.Fields[name] = Typed(OptionCatalog.Find(name)!.Type, text);
        return config;
    }

    private static Value Typed(string type, string text) => type switch
    {
        "flag" => Value.ForBool(text == "true"),
        "number" or "bytes" => Value.ForNumber(double.Parse(text, CultureInfo.InvariantCulture)),
        _ => Value.ForString(text),
    };
}
