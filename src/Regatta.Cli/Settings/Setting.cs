namespace Regatta.Cli;

/// <summary>A value that somebody gave to a node's option.</summary>
/// <param name="Name">The option's name, known to the catalogue.</param>
/// <param name="Text">The value as it was written.</param>
/// <param name="Source">Where: flag, environment variable, or file and line.</param>
internal sealed record Setting(string Name, string Text, string Source);

/// <summary>What one source holds.</summary>
/// <param name="Settings">What could be read.</param>
/// <param name="Errors">Sentences that name the place.</param>
internal sealed record SettingsLayer(IReadOnlyList<Setting> Settings, IReadOnlyList<string> Errors)
{
    public static readonly SettingsLayer Empty = new([], []);
}
