namespace Regatta.Protocol.Compression;

/// <summary>The first byte of a chunk of the snappy framing format. Others are refused.</summary>
internal enum SnappyChunkType : byte
{
    Compressed = 0x00,
    Uncompressed = 0x01,
    Padding = 0xfe,
    StreamIdentifier = 0xff,
}
