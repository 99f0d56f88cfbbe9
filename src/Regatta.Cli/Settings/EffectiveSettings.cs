using Regatta.Node;

namespace Regatta.Cli;

/// <summary>What all sources together say: flag before environment before file before default, option by option.</summary>
/// <param name="Options">The outcome; values that are wrong are left out of it.</param>
/// <param name="Sources">Where each value that is not a default comes from, by the option's name.</param>
/// <param name="Errors">Everything that is wrong, used or not.</param>
internal sealed record EffectiveSettings(NodeOptions Options, IReadOnlyDictionary<string, string> Sources, IReadOnlyList<string> Errors)
{
    public const string Default = "default";

    /// <param name="start">The defaults.</param>
    /// <param name="layers">The weakest first.</param>
    public static EffectiveSettings Resolve(NodeOptions start, params IReadOnlyList<SettingsLayer> layers)
    {
        List<string> errors = [.. layers.SelectMany(layer => layer.Errors)];
        Dictionary<string, string> sources = new(StringComparer.Ordinal);
        foreach (Setting setting in layers.SelectMany(layer => layer.Settings))
        {
            if (OptionCatalog.Find(setting.Name)!.TrySet(start, setting.Text, out NodeOptions? changed, out string? error))
                (start, sources[setting.Name]) = (changed, setting.Source);
            else
                errors.Add($"{setting.Source}: {error}");
        }
        // Rules between options are only worth mentioning when the options themselves are right.
        if (errors.Count == 0)
            errors.AddRange(OptionCatalog.Apply(start, []).Errors);
        return new EffectiveSettings(start, sources, errors);
    }

    public string SourceOf(string option) => Sources.GetValueOrDefault(option, Default);
}
