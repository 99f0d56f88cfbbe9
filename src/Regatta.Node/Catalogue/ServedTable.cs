using Regatta.Core;
using Regatta.Protocol.V1;
using Regatta.Raft;
using Regatta.Replication;

namespace Regatta.Node;

/// <summary>A table that this node serves: its name, its life, and its group. Immutable; replaced when the table is deleted and made again.</summary>
internal sealed class ServedTable(string name, Incarnation incarnation, ITableGroup group, ulong nodeId)
{
    public string Name { get; } = name;

    public Incarnation Incarnation { get; } = incarnation;

    public ITableGroup Group { get; } = group;

    public TableFreshness Fresh { get; } = new(group);

    /// <summary>The header of a reply that shows the table at <paramref name="revision"/>.</summary>
    public ResponseHeader Header(long revision) => new()
    {
        ShardId = (ulong)Group.GroupId,
        ReplicaId = nodeId,
        Revision = (ulong)revision,
        RaftTerm = (ulong)Group.Term,
        RaftLeaderId = (ulong)Group.LeaderNodeId,
    };

    /// <summary>The group's status; null once the table is being deleted or the node stops.</summary>
    public GroupStatus? TryStatus()
    {
        try
        {
            return Group.Status;
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }
}
