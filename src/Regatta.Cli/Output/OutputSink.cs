using System.Buffers;
using System.Text;

namespace Regatta.Cli;

/// <summary>Collects bytes and passes them on in pieces that are worth a system call. Not thread-safe; dispose writes the rest.</summary>
internal sealed class OutputSink(Stream stream) : IBufferWriter<byte>
{
    private const int Piece = 64 << 10;

    private readonly ArrayBufferWriter<byte> _buffer = new(Piece);

    public void Advance(int count) => _buffer.Advance(count);

    public Memory<byte> GetMemory(int sizeHint = 0) => _buffer.GetMemory(sizeHint);

    public Span<byte> GetSpan(int sizeHint = 0) => _buffer.GetSpan(sizeHint);

    public void WriteLine(string text)
    {
        Encoding.UTF8.GetBytes(text, this);
        this.Write("\n"u8);
    }

    public void WriteRaw(ReadOnlySpan<byte> bytes, bool newLine)
    {
        this.Write(bytes);
        if (newLine)
            this.Write("\n"u8);
    }

    /// <summary>Call between records.</summary>
    public ValueTask PassOnAsync(CancellationToken token) => _buffer.WrittenCount < Piece ? ValueTask.CompletedTask : FlushAsync(token);

    public async ValueTask FlushAsync(CancellationToken token)
    {
        await stream.WriteAsync(_buffer.WrittenMemory, token);
        _buffer.ResetWrittenCount();
    }
}
