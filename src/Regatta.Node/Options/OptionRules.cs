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
        if (!options.RaftInitialMembers.IsEmpty && !options.RaftInitialMembers.ContainsKey(options.RaftNodeId))
            yield return $"raft.initial-members must contain this node, whose raft.node-id is {options.RaftNodeId}";
        if (options.RaftInitialMembers.Count is not (0 or 1 or 3 or 5))
            yield return $"raft.initial-members names {options.RaftInitialMembers.Count} members; a site has 1, 3 or 5: with an even number one more may fail at no gain";
        foreach (string problem in options.TablesNames.Select(TableName.Problem).OfType<string>())
            yield return "tables.names: " + problem;
    }
}
