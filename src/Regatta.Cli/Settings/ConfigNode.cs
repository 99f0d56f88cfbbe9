namespace Regatta.Cli;

/// <summary>A value in a configuration file, whatever its syntax.</summary>
/// <param name="Place">File, and line where it is known.</param>
internal abstract record ConfigNode(string Place);

/// <param name="Place">As above.</param>
/// <param name="Text">Null: it is there without a value.</param>
internal sealed record ConfigScalar(string Place, string? Text) : ConfigNode(Place);

internal sealed record ConfigList(string Place, IReadOnlyList<ConfigNode> Items) : ConfigNode(Place);

internal sealed record ConfigMap(string Place, IReadOnlyList<KeyValuePair<string, ConfigNode>> Entries) : ConfigNode(Place);
