using System.CommandLine;
using System.CommandLine.Help;
using System.Text;

namespace Regatta.Cli;

/// <summary>docs/cli.md: every command, argument and option from the tree itself, with the chapters of <see cref="Chapters"/> around them.</summary>
internal static class Reference
{
    public static string Write(RootCommand root)
    {
        StringBuilder text = new();
        text.Append("# The `regatta` command\n\n");
        text.Append("Made by `regatta docs > docs/cli.md`; a test fails when it is out of date. Do not edit it by hand.\n");
        text.Append(Chapters.Before);
        foreach (Command command in root.Subcommands)
            Append(text, command, "regatta " + command.Name);
        text.Append(Chapters.After);
        return text.ToString().TrimEnd('\n');
    }

    private static void Append(StringBuilder text, Command command, string path)
    {
        if (command.Hidden)
            return;
        text.Append($"\n## `{path}`\n\n{command.Description}\n");
        if (command.Subcommands.Count == 0)
            text.Append($"\n    {path}{string.Concat(command.Arguments.Select(Usage))} [options]\n");
        Table(text, "Argument", [.. command.Arguments.Select(argument => ($"`{argument.Name}`", argument.Description, DefaultOf(argument)))]);
        string heading = command.Subcommands.Count > 0 ? "Option of all of them" : "Option";
        IEnumerable<Option> options = command.Options.Where(option => option is not HelpOption);
        Table(text, heading, [.. options.Select(option => (Names(option), option.Description, DefaultOf(option)))]);
        foreach (Command sub in command.Subcommands)
            Append(text, sub, $"{path} {sub.Name}");
    }

    private static void Table(StringBuilder text, string heading, IReadOnlyList<(string Name, string? Description, string Default)> rows)
    {
        if (rows.Count == 0)
            return;
        text.Append($"\n| {heading} | |\n|---|---|\n");
        foreach ((string name, string? description, string otherwise) in rows)
            text.Append($"| {name} | {Cell((description ?? "") + otherwise)} |\n");
    }

    private static string Names(Option option)
    {
        string value = option.ValueType == typeof(bool) ? "" : " " + option.HelpName;
        return Cell(string.Join(", ", option.Aliases.Order(StringComparer.Ordinal).Prepend(option.Name).Select(name => $"`{name}{value}`")));
    }

    private static string Usage(Argument argument) =>
        argument.Arity.MinimumNumberOfValues == 0 || argument.HasDefaultValue ? $" [{argument.Name}]" : $" {argument.Name}";

    private static string DefaultOf(Symbol symbol)
    {
        object? value = symbol switch
        {
            Option { HasDefaultValue: true } option => option.GetDefaultValue(),
            Argument { HasDefaultValue: true } argument => argument.GetDefaultValue(),
            _ => null,
        };
        return value is null or "" or false ? "" : $" [default: {value}]";
    }

    // A bar would end the cell, an angle bracket could begin a tag.
    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);
}
