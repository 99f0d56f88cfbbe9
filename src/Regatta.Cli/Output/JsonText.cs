using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;

namespace Regatta.Cli;

/// <summary>
/// JSON strings of bytes. UTF-8 is a string with only the escapes that JSON demands (plus DEL and the C1 controls, which steer terminals), so
/// that other tools write the same text; anything else is base64, and the field's name says so.
/// </summary>
internal static class JsonText
{
    /// <summary>Writes <c>"name":"text"</c> or <c>"name_b64":"..."</c>.</summary>
    public static void WriteField(IBufferWriter<byte> output, ReadOnlySpan<byte> name, ReadOnlySpan<byte> bytes)
    {
        bool isText = Utf8.IsValid(bytes);
        output.Write("\""u8);
        output.Write(name);
        output.Write(isText ? "\":"u8 : "_b64\":"u8);
        if (isText)
            WriteString(output, bytes);
        else
            WriteBase64(output, bytes);
    }

    /// <param name="output">Where to.</param>
    /// <param name="text">Valid UTF-8.</param>
    public static void WriteString(IBufferWriter<byte> output, ReadOnlySpan<byte> text)
    {
        output.Write("\""u8);
        while (!text.IsEmpty)
        {
            int plain = PlainPrefix(text);
            output.Write(text[..plain]);
            text = text[plain..];
            if (!text.IsEmpty)
                text = text[WriteEscaped(output, text)..];
        }
        output.Write("\""u8);
    }

    private static void WriteBase64(IBufferWriter<byte> output, ReadOnlySpan<byte> bytes)
    {
        output.Write("\""u8);
        Span<byte> target = output.GetSpan(Base64.GetMaxEncodedToUtf8Length(bytes.Length));
        Base64.EncodeToUtf8(bytes, target, out _, out int written);
        output.Advance(written);
        output.Write("\""u8);
    }

    private static int PlainPrefix(ReadOnlySpan<byte> text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] is < 0x20 or (byte)'"' or (byte)'\\' or 0x7f || (text[i] == 0xc2 && text[i + 1] < 0xa0))
                return i;
        }
        return text.Length;
    }

    private static int WriteEscaped(IBufferWriter<byte> output, ReadOnlySpan<byte> text)
    {
        int shorthand = "\"\\\b\f\n\r\t"u8.IndexOf(text[0]);
        if (shorthand >= 0)
        {
            output.Write([(byte)'\\', "\"\\bfnrt"u8[shorthand]]);
            return 1;
        }
        int codePoint = text[0] == 0xc2 ? text[1] : text[0];
        output.Write(Encoding.ASCII.GetBytes($"\\u{codePoint:x4}"));
        return text[0] == 0xc2 ? 2 : 1;
    }
}
