namespace Regatta.Protocol.Compression;

/// <summary>One compressed message being decoded. Used by one thread, once, from beginning to end.</summary>
internal abstract class MessageDecoder : IDisposable
{
    /// <summary>Decodes the next bytes of the message into a buffer that is not empty.</summary>
    /// <returns>How many bytes were written; 0 only when the whole message has been decoded and found complete.</returns>
    /// <exception cref="InvalidDataException">The input is damaged or ends early.</exception>
    public abstract int Read(Span<byte> buffer);

    public abstract void Dispose();
}
