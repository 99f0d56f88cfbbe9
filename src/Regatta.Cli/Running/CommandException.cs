namespace Regatta.Cli;

/// <summary>Ends a command with an exit code and a sentence for the user; nothing of it is a bug.</summary>
internal sealed class CommandException(int exitCode, string message, string hint = "") : Exception(message)
{
    public int ExitCode { get; } = exitCode;

    /// <summary>What to do about it; empty if the message says it.</summary>
    public string Hint { get; } = hint;

    public static CommandException Usage(string message, string hint = "") => new(Cli.ExitCode.Usage, message, hint);
}
