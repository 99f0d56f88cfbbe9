using System.Text.Json;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Regatta.Cli;

/// <summary>Reads YAML and JSON into <see cref="ConfigNode"/>.</summary>
internal static class ConfigSyntax
{
    /// <exception cref="FormatException">The text is not what the file's name promises; the sentence names the place.</exception>
    public static ConfigNode Read(string path, string text) => Path.GetExtension(path).ToUpperInvariant() switch
    {
        ".JSON" => ReadJson(path, text),
        ".YAML" or ".YML" => ReadYaml(path, text),
        _ => throw new FormatException($"{path} must end in .yaml, .yml or .json, so that its syntax is known"),
    };

    private static ConfigNode ReadJson(string path, string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return OfJson(path, document.RootElement);
        }
        catch (JsonException e)
        {
            string place = e.LineNumber is { } line ? $"{path}, line {line + 1}" : path;
            throw new FormatException($"{place}: this is not JSON: {e.Message}", e);
        }
    }

    private static ConfigNode OfJson(string place, JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => new ConfigMap(
            place, [.. element.EnumerateObject().Select(entry => KeyValuePair.Create(entry.Name, OfJson(place, entry.Value)))]),
        JsonValueKind.Array => new ConfigList(place, [.. element.EnumerateArray().Select(item => OfJson(place, item))]),
        JsonValueKind.String => new ConfigScalar(place, element.GetString()),
        JsonValueKind.Null => new ConfigScalar(place, null),
        _ => new ConfigScalar(place, element.GetRawText()),
    };

    private static ConfigNode ReadYaml(string path, string text)
    {
        try
        {
            YamlStream stream = [];
            stream.Load(new StringReader(text));
            return stream.Documents.Count switch
            {
                0 => new ConfigMap(path, []),
                1 => OfYaml(path, stream.Documents[0].RootNode),
                _ => throw new FormatException($"{path} has several documents; one is enough"),
            };
        }
        catch (YamlException e)
        {
            throw new FormatException($"{path}, line {e.Start.Line}: this is not YAML: {e.InnerException?.Message ?? e.Message}", e);
        }
    }

    private static ConfigNode OfYaml(string path, YamlNode node)
    {
        string place = $"{path}, line {node.Start.Line}";
        return node switch
        {
            YamlMappingNode map => new ConfigMap(
                place, [.. map.Children.Select(entry => KeyValuePair.Create(KeyOf(path, entry.Key), OfYaml(path, entry.Value)))]),
            YamlSequenceNode list => new ConfigList(place, [.. list.Children.Select(item => OfYaml(path, item))]),
            YamlScalarNode { Style: ScalarStyle.Plain, Value: "" or "~" or "null" or null } => new ConfigScalar(place, null),
            YamlScalarNode scalar => new ConfigScalar(place, scalar.Value),
            _ => throw new FormatException($"{place}: only values, lists and maps can be read"),
        };
    }

    private static string KeyOf(string path, YamlNode key) =>
        key is YamlScalarNode { Value: { } name } ? name : throw new FormatException($"{path}, line {key.Start.Line}: a key must be a name");
}
