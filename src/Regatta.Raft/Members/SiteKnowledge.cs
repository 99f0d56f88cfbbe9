using System.Collections.Immutable;

namespace Regatta.Raft;

/// <summary>What a node knows of its site, as nodes tell each other: <c>[format u8 = 1][history][own store][founders]</c>, ids of 16 bytes.</summary>
/// <param name="History">Empty: none.</param>
internal sealed record SiteKnowledge(Guid History, Guid Store, ImmutableArray<Guid> Founders)
{
    private const byte Format = 1;
    private const int IdBytes = 16;

    public byte[] Encode() => [Format, .. History.ToByteArray(), .. Store.ToByteArray(), .. Founders.SelectMany(founder => founder.ToByteArray())];

    /// <exception cref="InvalidDataException">It is no such message.</exception>
    public static SiteKnowledge Decode(ReadOnlyMemory<byte> message)
    {
        ReadOnlySpan<byte> bytes = message.Span;
        if (bytes.Length < 1 + (2 * IdBytes) || bytes[0] != Format || (bytes.Length - 1) % IdBytes != 0)
            throw new InvalidDataException("A message between nodes is malformed: it does not tell of a site.");
        Guid[] ids = new Guid[(bytes.Length - 1) / IdBytes];
        for (int i = 0; i < ids.Length; i++)
            ids[i] = new Guid(bytes.Slice(1 + (i * IdBytes), IdBytes));
        return new SiteKnowledge(ids[0], ids[1], [.. ids[2..]]);
    }
}
