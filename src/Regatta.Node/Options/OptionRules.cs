using Regatta.Storage;

namespace Regatta.Node;

/// <summary>What must hold between options; each option's own range is in <see cref="OptionCatalog"/>.</summary>
internal static class OptionRules
{
    // What a put needs beside key and value: field tags, lengths, the table's name.
    private const long RequestOverhead = 1024;

    // What a page must be able to hold beside one record.
    private const long PageOverhead = 256;

    public static IEnumerable<string> Problems(NodeOptions options)
    {
        if (options.DataDirectory.Length == 0)
            yield return "data-dir must be set: the directory for everything that the node keeps";
        if (options.MaxKeyBytes + options.MaxValueBytes + RequestOverhead > options.MaxRequestBytes)
            yield return $"limits.max-request-bytes must be at least limits.max-key-bytes + limits.max-value-bytes + {RequestOverhead}, "
                + $"which is {options.MaxKeyBytes + options.MaxValueBytes + RequestOverhead}, or the largest pairs could not be written";
        if (options.MaxKeyBytes + options.MaxValueBytes + PageOverhead > options.PageBytes)
            yield return $"limits.page-bytes must be at least limits.max-key-bytes + limits.max-value-bytes + {PageOverhead}, "
                + $"which is {options.MaxKeyBytes + options.MaxValueBytes + PageOverhead}, or the largest pairs could not be read";
        if (options.Groups.HeartbeatInterval * 2 >= options.Groups.ElectionTimeout)
            yield return $"raft.heartbeat-interval must be less than half of raft.election-timeout, which is {DurationText.Format(options.Groups.ElectionTimeout)}, "
                + "or a leader that lives would be voted out";
        if (options.Role == NodeRole.Follower && options.ReplicationLeaderAddress.IsEmpty)
            yield return "replication.leader-address must be set: the replication addresses of the leader site's nodes, such as http://10.0.0.1:8444";
        if (options.Role == NodeRole.Leader && !options.ReplicationLeaderAddress.IsEmpty)
            yield return "replication.leader-address is for the nodes of a follower site, and this is one of the leader site; start it with `regatta follower`, or leave the option out";
        if (options.Role == NodeRole.Follower && !options.TablesNames.IsEmpty)
            yield return "tables.names is for the leader site: a follower site has the tables that the leader site has";
        foreach (string problem in MemberRules.Problems(options))
            yield return problem;
        foreach (string problem in options.TablesNames.Select(TableName.Problem).OfType<string>())
            yield return "tables.names: " + problem;
    }
}
