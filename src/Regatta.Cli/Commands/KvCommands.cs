using System.CommandLine;

namespace Regatta.Cli;

/// <summary><c>regatta kv</c>.</summary>
internal static class KvCommands
{
    public static Command Create(CommonOptions common, Surroundings surroundings)
    {
        Command kv = new("kv", "Read and write the keys of a table.")
        {
            KvGetCommand.Create(common, surroundings),
            KvRangeCommand.Create(common, surroundings),
            KvPutCommand.Create(common, surroundings),
            KvDelCommand.Create(common, surroundings),
            KvTxnCommand.Create(common, surroundings),
            KvWatchCommand.Create(common, surroundings),
            KvLoadCommand.Create(common, surroundings),
            KvDumpCommand.Create(common, surroundings),
        };
        kv.Add(common.Table);
        kv.Add(common.Output);
        common.AddConnection(kv);
        return kv;
    }
}
