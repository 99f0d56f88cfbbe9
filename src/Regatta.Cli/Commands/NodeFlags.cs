using System.CommandLine;
using System.CommandLine.Parsing;
using Regatta.Node;

namespace Regatta.Cli;

/// <summary>The node's options as flags of a command.</summary>
internal sealed class NodeFlags
{
    private readonly (OptionDefinition Definition, Option<string?> Flag)[] _flags;

    public NodeFlags(Command command)
    {
        _flags = [.. OptionCatalog.All.Select(definition => (definition, Make(definition)))];
        foreach ((_, Option<string?> flag) in _flags)
            command.Add(flag);
    }

    public SettingsLayer Read(ParseResult parsed) => new(
        [
            .. _flags
                .Where(flag => parsed.GetResult(flag.Flag) is OptionResult { Implicit: false })
                .Select(flag => new Setting(flag.Definition.Name, parsed.GetValue(flag.Flag) ?? "true", "flag " + flag.Flag.Name)),
        ],
        []);

    private static Option<string?> Make(OptionDefinition definition) => new("--" + definition.Name)
    {
        Description = Describe(definition),
        HelpName = definition.Type.ToUpperInvariant(),
        // A flag may stand alone: that means true.
        Arity = definition.Type == "flag" ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
    };

    private static string Describe(OptionDefinition definition)
    {
        string range = definition.Range.Length == 0 ? "" : $" {definition.Range}{(definition.Unit.Length > 0 ? " " + definition.Unit : "")}.";
        string otherwise = definition.Default.Length == 0 ? "" : $" [default: {definition.Default}]";
        return definition.Sentence + range + otherwise;
    }
}
