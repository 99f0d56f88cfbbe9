using System.Text;

namespace Regatta.Cli;

/// <summary>Everything of the outside that a command touches, so that tests can put something else there.</summary>
internal sealed record Surroundings
{
    public required Stream Input { get; init; }

    public required bool InputIsTerminal { get; init; }

    public required Stream Output { get; init; }

    public required bool OutputIsTerminal { get; init; }

    /// <summary>For people: errors, questions, progress.</summary>
    public required TextWriter Error { get; init; }

    public required bool ErrorIsTerminal { get; init; }

    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    /// <summary>See no-color.org.</summary>
    public bool WithoutColors => Environment.TryGetValue("NO_COLOR", out string? value) && value.Length > 0;

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    public static Surroundings OfThisProcess()
    {
        // Console.Error would use the locale's encoding; output is UTF-8 everywhere.
        StreamWriter error = new(Console.OpenStandardError(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)) { AutoFlush = true };
        return new Surroundings
        {
            Input = new InterruptibleInput(Console.OpenStandardInput()),
            InputIsTerminal = !Console.IsInputRedirected,
            Output = OperatingSystem.IsWindows() ? Console.OpenStandardOutput() : new StandardOutput(),
            OutputIsTerminal = !Console.IsOutputRedirected,
            Error = error,
            ErrorIsTerminal = !Console.IsErrorRedirected,
            Environment = Variables(),
        };
    }

    private static Dictionary<string, string> Variables()
    {
        Dictionary<string, string> variables = new(StringComparer.Ordinal);
        foreach (System.Collections.DictionaryEntry entry in System.Environment.GetEnvironmentVariables())
            variables[(string)entry.Key] = (string?)entry.Value ?? "";
        return variables;
    }
}
