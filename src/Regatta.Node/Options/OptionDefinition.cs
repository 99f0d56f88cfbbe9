using System.Diagnostics.CodeAnalysis;

namespace Regatta.Node;

/// <summary>One option: its name on the outside, what it takes, and its place in <see cref="NodeOptions"/>. Immutable.</summary>
public abstract class OptionDefinition
{
    private protected OptionDefinition(string name, string type, string unit, string sentence, bool isSecret)
    {
        Name = name;
        Type = type;
        Unit = unit;
        Sentence = sentence;
        IsSecret = isSecret;
    }

    /// <summary>What stands for a secret wherever settings are shown.</summary>
    public const string Mask = "**********";

    /// <summary>Flag without dashes and key in files, such as <c>api.address</c>.</summary>
    public string Name { get; }

    /// <summary>text, flag, number, bytes, duration, address, level, list or members.</summary>
    public string Type { get; }

    /// <summary>Unit of a plain number; empty where the type says it all.</summary>
    public string Unit { get; }

    /// <summary>What the option does, in one sentence.</summary>
    public string Sentence { get; }

    /// <summary>Never shown: <see cref="Mask"/> instead.</summary>
    public bool IsSecret { get; }

    /// <summary>The default as it would be written; empty for "not set".</summary>
    public abstract string Default { get; }

    /// <summary>The allowed values in words, such as "1 to 65535"; empty if the type says it all.</summary>
    public abstract string Range { get; }

    /// <summary>Environment variables that set the option, the first one wins: ours, and the name the Go project uses.</summary>
    public IReadOnlyList<string> EnvironmentNames =>
        ["REGATTA_" + Name.ToUpperInvariant().Replace('.', '_').Replace('-', '_'), Name.ToUpperInvariant()];

    /// <summary>The option's value in <paramref name="options"/> as it would be written; secrets in clear.</summary>
    public abstract string Text(NodeOptions options);

    /// <summary>A copy of <paramref name="options"/> with this option set.</summary>
    /// <param name="error">Otherwise: a sentence that names the option and says what is allowed.</param>
    public abstract bool TrySet(NodeOptions options, string text, [NotNullWhen(true)] out NodeOptions? changed, [NotNullWhen(false)] out string? error);
}

internal sealed class OptionDefinition<T>(
    string name,
    OptionKind<T> kind,
    Func<NodeOptions, T> get,
    Func<NodeOptions, T, NodeOptions> with,
    string sentence,
    string unit = "",
    T? min = default,
    T? max = default,
    bool secret = false,
    Func<T, string?>? check = null) : OptionDefinition(name, kind.Label, unit, sentence, secret)
{
    private static readonly NodeOptions Defaults = new();

    // A range was given where min and max differ: of all that has a default value, only numbers and durations come with one.
    private readonly bool _ranged = !EqualityComparer<T>.Default.Equals(min, max);

    public override string Default => kind.Write(get(Defaults));

    public override string Range => _ranged ? $"{kind.Write(min!)} to {kind.Write(max!)}" : "";

    public override string Text(NodeOptions options) => kind.Write(get(options));

    public override bool TrySet(NodeOptions options, string text, [NotNullWhen(true)] out NodeOptions? changed, [NotNullWhen(false)] out string? error)
    {
        changed = null;
        if (!kind.Read(text, out T value, out string? problem))
            error = IsSecret ? $"{Name} {problem}" : $"{Name} {problem}, not \"{text}\"";
        else if (_ranged && (Comparer<T>.Default.Compare(value, min) < 0 || Comparer<T>.Default.Compare(value, max) > 0))
            error = $"{Name} must be from {kind.Write(min!)} to {kind.Write(max!)}{(Unit.Length > 0 ? " " + Unit : "")}, not {kind.Write(value)}";
        else if (check?.Invoke(value) is { } wrong)
            error = $"{Name} {wrong}";
        else
            (changed, error) = (with(options, value), null);
        return changed is not null;
    }
}
