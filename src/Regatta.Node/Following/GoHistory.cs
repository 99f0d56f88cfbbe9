namespace Regatta.Node;

/// <summary>
/// The history id of a site that follows a leader site of the Go project, which has none to give: made up by the node that founds the site. It is a UUID of version 8, and leader sites make such of
/// version 4; so the id itself says which kind of leader site is followed. It is written with the node's identity, once, and is part of every table's incarnation: there is no moment at which
/// a site has a history and does not know the kind.
/// </summary>
internal static class GoHistory
{
    private const int Version = 8;

    private const int VersionByte = 6;

    public static Guid Make()
    {
        byte[] id = Guid.NewGuid().ToByteArray(bigEndian: true);
        id[VersionByte] = (byte)((Version << 4) | (id[VersionByte] & 0xF));
        return new Guid(id, bigEndian: true);
    }

    /// <summary>Whether a site of that history follows a leader site of the Go project.</summary>
    public static bool Is(Guid history) => history.Version == Version;
}
