using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using Regatta.Node;

namespace Regatta.Cli;

/// <summary>Effective settings as a YAML file that a node can be started with, each with its source behind it. Secrets are masked.</summary>
internal static partial class ConfigPrinter
{
    private static readonly JsonSerializerOptions Quoting = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Print(EffectiveSettings settings)
    {
        StringBuilder text = new();
        foreach ((string name, string value) in OptionCatalog.Effective(settings.Options))
        {
            // A mask that is read back would be taken for the secret itself.
            string comment = value == OptionDefinition.Mask ? "# " : "";
            text.Append($"{comment}{name}: {Quoted(value)}  # {settings.SourceOf(name)}\n");
        }
        return text.ToString();
    }

    private static string Quoted(string value) => Plain().IsMatch(value) ? value : JsonSerializer.Serialize(value, Quoting);

    [GeneratedRegex("^[A-Za-z0-9/][A-Za-z0-9/._=:,-]*[A-Za-z0-9/]$|^[A-Za-z0-9]$", RegexOptions.CultureInvariant)]
    private static partial Regex Plain();
}
