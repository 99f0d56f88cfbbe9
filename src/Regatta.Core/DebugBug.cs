#if DEBUG
using System.Text.Json;

// The namespace that encloses all others: no file needs a using that a Release build would find unused.
namespace Regatta;

/// <summary>
/// Bugs that are in the code on purpose, for the chaos suite to find: docs/planted-bugs.md says what each one does. Of a Release build they are no part.
/// </summary>
public enum DebugBug
{
    None,
    AcknowledgeBeforeSync,
    ForgottenVote,
    WipedNodeVotes,
    CommitByLeaderAlone,
    UnconfirmedLeaderRead,
    LostMeansUndone,
    DamagedLogAccepted,
    DeleteRangeLeavesRest,
    DeleteRangeOnLeaderOnly,
    CompareBeforeLog,
    TornTransaction,
    TornIteration,
    StaleLinearizableRead,
    GlobalReadAnsweredHere,
    SessionIgnored,
    StalenessBoundTooLow,
    TimeOfDayTrusted,
    WatchSkipsOnResume,
    LostForwardedWrite,
    DoubledForwardedWrite,
    BatchAppliedTwice,
    StaleCacheAfterSwap,
}

/// <summary>Which of them is switched on in this process. Thread-safe.</summary>
public static class DebugBugs
{
    /// <summary>The environment variable that holds its name, in kebab case.</summary>
    public const string Variable = "REGATTA_PLANTED_BUG";

    private static readonly string Name = Environment.GetEnvironmentVariable(Variable) ?? "";
    private static int _chances;

    public static DebugBug Current { get; } = All.FirstOrDefault(bug => NameOf(bug) == Name);

    /// <summary>Why the node cannot start with that name; null: it can.</summary>
    public static string? Problem => Name.Length == 0 || Current != DebugBug.None
        ? null
        : $"environment variable {Variable}: there is no planted bug '{Name}'; there are {string.Join(", ", All.Select(NameOf))}";

    private static IEnumerable<DebugBug> All => Enum.GetValues<DebugBug>().Where(static bug => bug != DebugBug.None);

    public static string NameOf(DebugBug bug) => JsonNamingPolicy.KebabCaseLower.ConvertName(bug.ToString());

    /// <summary>The bug is on, and this is one of every so many chances that it has had.</summary>
    public static bool Strikes(DebugBug bug, int every) => Current == bug && Interlocked.Increment(ref _chances) % every == 0;
}
#endif
