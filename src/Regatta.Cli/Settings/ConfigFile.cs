using Regatta.Node;

namespace Regatta.Cli;

/// <summary>
/// A node's configuration file. Options stand under their full names (<c>api.address: ...</c>) or nested (<c>api: {address: ...}</c>); lists may
/// be lists, and raft.initial-members a map. A key that is no option is an error.
/// </summary>
internal sealed class ConfigFile
{
    private readonly List<Setting> _settings = [];
    private readonly List<string> _errors = [];

    public static SettingsLayer Read(string path)
    {
        try
        {
            return Parse(path, File.ReadAllText(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new SettingsLayer([], [$"the configuration file cannot be read: {e.Message}"]);
        }
    }

    public static SettingsLayer Parse(string path, string text)
    {
        ConfigFile file = new();
        try
        {
            if (ConfigSyntax.Read(path, text) is ConfigMap root)
                file.AddAll("", root);
            else
                file._errors.Add($"{path} must be a map from options to values");
        }
        catch (FormatException e)
        {
            file._errors.Add(e.Message);
        }
        return new SettingsLayer(file._settings, file._errors);
    }

    private void AddAll(string prefix, ConfigMap map)
    {
        foreach ((string key, ConfigNode node) in map.Entries)
            Add(prefix + key, node);
    }

    private void Add(string name, ConfigNode node)
    {
        if (OptionCatalog.Find(name) is { } option)
            Set(option, node);
        else if (node is ConfigMap map && OptionCatalog.All.Any(known => known.Name.StartsWith(name + ".", StringComparison.Ordinal)))
            AddAll(name + ".", map);
        else
            _errors.Add($"{node.Place}: {name} is not an option{Nearest.Question(name, OptionCatalog.All.Select(known => known.Name))}");
    }

    private void Set(OptionDefinition option, ConfigNode node)
    {
        if (TextOf(option, node) is not { } text)
            _errors.Add($"{node.Place}: {option.Name} must have {Wanted(option)}");
        else if (_settings.Find(setting => setting.Name == option.Name) is { } earlier)
            _errors.Add($"{node.Place}: {option.Name} is already given in {earlier.Source}");
        else
            _settings.Add(new Setting(option.Name, text, node.Place));
    }

    private static string? TextOf(OptionDefinition option, ConfigNode node) => node switch
    {
        ConfigScalar scalar => scalar.Text,
        ConfigList list when option.Type is "list" or "members" => Joined(list.Items.Select(item => (item as ConfigScalar)?.Text)),
        ConfigMap map when option.Type == "members" =>
            Joined(map.Entries.Select(entry => entry.Value is ConfigScalar { Text: { } address } ? $"{entry.Key}={address}" : null)),
        _ => null,
    };

    private static string? Joined(IEnumerable<string?> items)
    {
        string?[] all = [.. items];
        return all.Any(item => item is null || item.Contains(',', StringComparison.Ordinal)) ? null : string.Join(',', all);
    }

    private static string Wanted(OptionDefinition option) => option.Type switch
    {
        "list" => "a value, or a list of values without commas",
        "members" => "a map from ids to HOST:PORT",
        _ => "one value (\"\" for an empty one)",
    };
}
