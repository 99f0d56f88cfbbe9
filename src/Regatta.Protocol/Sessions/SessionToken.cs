using System.Buffers.Binary;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.IO.Hashing;
using Grpc.Core;

namespace Regatta.Protocol.Sessions;

/// <summary>
/// What the holder of a session has seen: for each table its life and greatest revision there. Immutable, so safe for all threads. Clients treat its text as opaque; nodes read it. Merging
/// two is the least token that is not behind either: in which order and how often does not matter.
/// </summary>
/// <remarks>
/// The text is base64url without padding, of: a byte 1, then for each history its id (16 bytes, big endian), the number of its tables (varint), and for each table, sorted, XXH3-64 of its name
/// (8 bytes, big endian), the incarnation's number (varint) and the revision (varint).
/// </remarks>
public sealed class SessionToken
{
    /// <summary>The metadata, in requests and in trailers, that carries a token.</summary>
    public const string MetadataName = "regatta-session";

    /// <summary>The longest text of a token, in characters.</summary>
    public const int MaxLength = 1024;

    private const byte Version = 1;
    private const int HistoryBytes = 16;
    private const int NameBytes = 8;
    private const int MaxVarint = 9;
    private const int MaxBytes = MaxLength / 4 * 3;

    // What a table of a new history may take at most.
    private const int MaxEntryBytes = HistoryBytes + MaxVarint + NameBytes + MaxVarint + MaxVarint;

    private readonly SortedList<Key, SeenTable> _seen;

    // Written once, or several times the same.
    private Metadata.Entry? _entry;

    private readonly int _size;

    private SessionToken(SortedList<Key, SeenTable> seen)
    {
        _seen = seen;
        _size = Size();
    }

    /// <summary>That of a session that begins.</summary>
    public static SessionToken Empty { get; } = new([]);

    /// <summary>The token as metadata.</summary>
    public Metadata.Entry Entry => _entry ??= new Metadata.Entry(MetadataName, ToString());

    /// <summary>The number of tables; one that was seen in several histories counts for each.</summary>
    public int Count => _seen.Count;

    /// <summary>Reads a token's text. An empty one begins a session.</summary>
    /// <returns>False: it is no token, or none that this version reads; <paramref name="problem"/> says why.</returns>
    public static bool TryParse(ReadOnlySpan<char> text, [NotNullWhen(true)] out SessionToken? token, [NotNullWhen(false)] out string? problem)
    {
        token = null;
        problem = null;
        if (text.IsEmpty)
        {
            token = Empty;
            return true;
        }

        Span<byte> bytes = stackalloc byte[MaxBytes];
        if (text.Length > MaxLength)
            problem = $"it has {text.Length} characters, and a token has at most {MaxLength}";
        else if (Base64Url.DecodeFromChars(text, bytes, out _, out int length) != System.Buffers.OperationStatus.Done)
            problem = "it is not base64url";
        else if (bytes[0] != Version)
            problem = $"its version is {bytes[0]}, and this node reads version {Version}";
        else if (Read(bytes[1..length]) is { } seen)
            token = new SessionToken(seen);
        else
            problem = "it was cut or changed";
        return token is not null;
    }

    /// <summary>What was seen of a table in a history; null: nothing.</summary>
    public SeenTable? Find(Guid history, ReadOnlySpan<byte> table) =>
        _seen.TryGetValue(new Key(history, NameOf(table)), out SeenTable seen) ? seen : null;

    /// <summary>A history, other than the one given, in which the table was seen; null: there is none.</summary>
    public Guid? OtherHistory(Guid history, ReadOnlySpan<byte> table)
    {
        ulong name = NameOf(table);
        foreach (Key key in _seen.Keys)
        {
            if (key.Name == name && key.History != history)
                return key.History;
        }

        return null;
    }

    /// <summary>Whether there is room to note a table, whatever it is noted with.</summary>
    public bool HasRoomFor(Guid history, ReadOnlySpan<byte> table) =>
        _size + (Find(history, table) is null ? MaxEntryBytes : MaxVarint + MaxVarint) <= MaxBytes;

    /// <summary>This token and what was seen of a table besides.</summary>
    public SessionToken With(ReadOnlySpan<byte> table, in SeenTable seen)
    {
        Key key = new(seen.History, NameOf(table));
        bool isKnown = _seen.TryGetValue(key, out SeenTable before);
        SeenTable later = isKnown ? SeenTable.Later(before, seen) : seen;
        // Most calls see nothing new.
        return isKnown && later == before ? this : new SessionToken(new SortedList<Key, SeenTable>(_seen) { [key] = later });
    }

    /// <summary>This token with a table noted as it is given, and nothing else of it: for a holder who was told that what it has seen of the table is gone.</summary>
    public SessionToken Instead(ReadOnlySpan<byte> table, in SeenTable seen)
    {
        ulong name = NameOf(table);
        SortedList<Key, SeenTable> all = new(_seen);
        foreach (Key key in _seen.Keys.Where(key => key.Name == name))
            all.Remove(key);
        all.Add(new Key(seen.History, name), seen);
        return new SessionToken(all);
    }

    /// <summary>What both have seen.</summary>
    public SessionToken Merge(SessionToken other)
    {
        if (Count == 0 || other.Count == 0)
            return Count == 0 ? other : this;
        SortedList<Key, SeenTable> all = new(_seen);
        foreach ((Key key, SeenTable seen) in other._seen)
            all[key] = all.TryGetValue(key, out SeenTable before) ? SeenTable.Later(before, seen) : seen;
        return new SessionToken(all);
    }

    /// <summary>The token's text: at most <see cref="MaxLength"/> characters when <see cref="HasRoomFor"/> was asked before each table.</summary>
    public override string ToString()
    {
        if (Count == 0)
            return "";
        byte[] bytes = new byte[1 + (Count * MaxEntryBytes)];
        bytes[0] = Version;
        int at = 1;
        for (int i = 0; i < Count; i++)
        {
            Key key = _seen.GetKeyAtIndex(i);
            if (i == 0 || key.History != _seen.GetKeyAtIndex(i - 1).History)
            {
                key.History.TryWriteBytes(bytes.AsSpan(at), bigEndian: true, out _);
                at += HistoryBytes;
                at += Write(bytes.AsSpan(at), _seen.Keys.Count(other => other.History == key.History));
            }

            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(at), key.Name);
            at += NameBytes;
            SeenTable seen = _seen.GetValueAtIndex(i);
            at += Write(bytes.AsSpan(at), seen.Number);
            at += Write(bytes.AsSpan(at), seen.Revision);
        }

        return Base64Url.EncodeToString(bytes.AsSpan(0, at));
    }

    private static ulong NameOf(ReadOnlySpan<byte> table) => XxHash3.HashToUInt64(table);

    private int Size()
    {
        int size = 1;
        Guid history = default;
        for (int i = 0; i < Count; i++)
        {
            (Key key, SeenTable seen) = (_seen.GetKeyAtIndex(i), _seen.GetValueAtIndex(i));
            if (i == 0 || key.History != history)
                size += HistoryBytes + Width(Count);
            history = key.History;
            size += NameBytes + Width(seen.Number) + Width(seen.Revision);
        }

        return size;
    }

    private static SortedList<Key, SeenTable>? Read(ReadOnlySpan<byte> bytes)
    {
        SortedList<Key, SeenTable> seen = [];
        while (!bytes.IsEmpty)
        {
            if (bytes.Length < HistoryBytes)
                return null;
            Guid history = new(bytes[..HistoryBytes], bigEndian: true);
            bytes = bytes[HistoryBytes..];
            if (!TryRead(ref bytes, out long tables) || tables == 0)
                return null;
            for (; tables > 0; tables--)
            {
                if (bytes.Length < NameBytes)
                    return null;
                Key key = new(history, BinaryPrimitives.ReadUInt64BigEndian(bytes));
                bytes = bytes[NameBytes..];
                if (!TryRead(ref bytes, out long number) || !TryRead(ref bytes, out long revision) || !seen.TryAdd(key, new SeenTable(history, number, revision)))
                    return null;
            }
        }

        return seen;
    }

    private static int Width(long value)
    {
        int width = 1;
        for (; value > 0x7F; value >>= 7)
            width++;
        return width;
    }

    private static int Write(Span<byte> into, long value)
    {
        int at = 0;
        for (; value > 0x7F; value >>= 7)
            into[at++] = (byte)(value | 0x80);
        into[at++] = (byte)value;
        return at;
    }

    // Numbers are of 0 to 2^63-1, which take nine bytes at most.
    private static bool TryRead(ref ReadOnlySpan<byte> bytes, out long value)
    {
        value = 0;
        for (int at = 0; at < bytes.Length && at < MaxVarint; at++)
        {
            value |= (long)(bytes[at] & 0x7F) << (7 * at);
            if ((bytes[at] & 0x80) != 0)
                continue;
            bytes = bytes[(at + 1)..];
            return true;
        }

        return false;
    }

    /// <summary>A name in a history. Names are hashed: a token of fifty long ones has to be small.</summary>
    private readonly record struct Key(Guid History, ulong Name) : IComparable<Key>
    {
        public int CompareTo(Key other)
        {
            int histories = History.CompareTo(other.History);
            return histories != 0 ? histories : Name.CompareTo(other.Name);
        }
    }
}
