using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// Moves a group out of the node's way, whole: its table's directory to <c>aside/GROUP/state</c>, its log to <c>aside/GROUP/log</c>, a log store that
/// holds nothing else. Put back, or opened by a node of its own, it is what it was.
/// </summary>
/// <remarks>
/// The log is copied, synced and given its name before it is deleted, and the state moves after that. So a crash leaves the log once or twice
/// but never not at all, and the next call goes on where this one stopped.
/// </remarks>
internal static class GroupAside
{
    private const string LogName = "log";
    private const string StateName = "state";

    /// <summary>Bytes of records that one round of the copy writes.</summary>
    private const long RoundBytes = 4 << 20;

    private static readonly RaftLogOptions SmallLog = new() { WriteBufferBytes = 4 << 20, WriteBuffers = 2, BlockCacheBytes = 1 << 20 };

    /// <returns>The directory that holds the group now.</returns>
    /// <exception cref="IOException">It could not be moved; what was not moved is where it was.</exception>
    /// <exception cref="InvalidDataException">A record of its log is damaged; it stays where it was.</exception>
    public static async Task<string> MoveAsync(NodeDirectory directory, RaftLogStore log, long group)
    {
        directory.Generations(group).FoldBack();
        string target = Unfinished(directory.AsidePath(group));
        DurableFile.CreateDirectory(target);
        if (log.ReadHardState(group) is not null)
        {
            await CopyLogAsync(log, group, target).ConfigureAwait(false);
            await log.DropAsync(group).ConfigureAwait(false);
        }
        else
        {
            log.Scan(group, 1, long.MaxValue - 1, (index, _) => throw log.Damaged(group, $"entry {index}", "the group has entries but no record of term and cut"));
        }

        string state = directory.TablePath(group);
        if (Directory.Exists(state))
            DurableFile.MoveDirectory(state, Path.Combine(target, StateName));
        return target;
    }

    /// <summary>The first name under which no state was put aside yet: a group may be put back and aside again.</summary>
    private static string Unfinished(string path)
    {
        string candidate = path;
        for (int again = 2; Directory.Exists(Path.Combine(candidate, StateName)); again++)
            candidate = $"{path}-{again}";
        return candidate;
    }

    private static async Task CopyLogAsync(RaftLogStore source, long group, string target)
    {
        string finished = Path.Combine(target, LogName);
        string staging = finished + ".creating";
        foreach (string leftover in new[] { staging, finished }.Where(Directory.Exists))
            Directory.Delete(leftover, recursive: true);
        using (FailStop failStop = new())
        using (RaftLogStore copy = RaftLogStore.Open(staging, SmallLog, failStop))
        {
            await copy.Enqueue(LogOp.Put(group, source.ReadHardState(group)!.Value)).ConfigureAwait(false);
            List<LogOp> round = [];
            for (long next = 1; FillRound(source, group, next, round); next = round[^1].Index + 1)
            {
                await copy.Budget.TakeAsync(round.Sum(op => (long)op.Record!.Length), CancellationToken.None).ConfigureAwait(false);
                await copy.Enqueue([.. round]).ConfigureAwait(false);
            }
        }

        DurableFile.SyncDirectory(staging);
        DurableFile.MoveDirectory(staging, finished);
    }

    private static bool FillRound(RaftLogStore source, long group, long from, List<LogOp> round)
    {
        long bytes = 0;
        round.Clear();
        source.Scan(group, from, long.MaxValue - 1, (index, record) =>
        {
            round.Add(LogOp.Put(group, index, record));
            bytes += record.Length;
            return bytes < RoundBytes;
        });
        return round.Count > 0;
    }
}
