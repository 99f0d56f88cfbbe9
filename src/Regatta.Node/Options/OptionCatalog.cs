using System.Collections.Immutable;

namespace Regatta.Node;

/// <summary>
/// The one table of all options. Flags, environment, configuration files, Cluster.Status and the documents are made from it. Names are those of
/// the Go project where they mean the same.
/// </summary>
public static partial class OptionCatalog
{
    public static OptionDefinition? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>Applies settings to <paramref name="start"/> in order (the last one of a name wins) and checks the whole.</summary>
    /// <returns>The options, or every error there is: sentences that name the option and say what is allowed.</returns>
    public static OptionsOutcome Apply(NodeOptions start, IEnumerable<KeyValuePair<string, string>> settings)
    {
        ImmutableArray<string>.Builder errors = ImmutableArray.CreateBuilder<string>();
        foreach ((string name, string text) in settings)
        {
            if (Find(name) is not { } option)
                errors.Add(Unknown(name));
            else if (option.TrySet(start, text, out NodeOptions? changed, out string? error))
                start = changed;
            else
                errors.Add(error);
        }
        if (errors.Count == 0)
            errors.AddRange(OptionRules.Problems(start));
        return errors.Count > 0 ? new OptionsOutcome(null, errors.DrainToImmutable()) : new OptionsOutcome(start, []);
    }

    /// <summary>All effective values by name, as they would be written, secrets masked.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Effective(NodeOptions options) =>
        All.Select(option => KeyValuePair.Create(option.Name, Shown(option, options)));

    private static string Shown(OptionDefinition option, NodeOptions options)
    {
        string text = option.Text(options);
        return option.IsSecret && text.Length > 0 ? OptionDefinition.Mask : text;
    }

    private static string Unknown(string name)
    {
        OptionDefinition nearest = All.MinBy(option => EditDistance.Between(option.Name, name))!;
        string hint = EditDistance.Between(nearest.Name, name) <= 3 ? $"; did you mean {nearest.Name}?" : "";
        return $"{name} is not an option{hint}";
    }
}

/// <param name="Options">Null if there are errors.</param>
/// <param name="Errors">Sentences for the operator; empty if there are none.</param>
public sealed record OptionsOutcome(NodeOptions? Options, ImmutableArray<string> Errors);
