namespace Regatta.Cli;

/// <summary>What scripts can tell apart. Documented in docs/cli.md, which is made from <see cref="Meanings"/>.</summary>
internal static class ExitCode
{
    public const int Ok = 0;
    public const int Failed = 1;
    public const int Usage = 2;
    public const int NotFound = 3;
    public const int Unreachable = 4;
    public const int OutcomeUnknown = 5;
    public const int Interrupted = 130;
    public const int ClosedPipe = 141;

    public static readonly (int Code, string Meaning)[] Meanings =
    [
        (Ok, "done"),
        (Failed, "refused by the node, or failed; for a write: nothing was changed. A node: it stopped because of a fault"),
        (Usage, "the command line, the configuration or the input text is wrong; nothing was sent"),
        (NotFound, "`kv get`: the key, or the range, holds nothing"),
        (Unreachable, "no node could be reached or answered in time; nothing was changed"),
        (OutcomeUnknown, "a write was sent and its answer was lost: it may have been applied"),
        (Interrupted, "ended by Ctrl-C or SIGTERM before it was done"),
        (ClosedPipe, "whoever read the output stopped reading (as for any program in a pipe)"),
    ];
}
