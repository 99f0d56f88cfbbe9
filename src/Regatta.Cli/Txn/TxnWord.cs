namespace Regatta.Cli;

/// <summary>A piece of a line.</summary>
/// <param name="Bytes">What it stands for.</param>
/// <param name="Text">As text, for words that are keywords, options or numbers.</param>
/// <param name="Quoted">Never an option or a sign.</param>
internal readonly record struct TxnWord(byte[] Bytes, string Text, bool Quoted)
{
    public bool Is(string sign) => !Quoted && Text == sign;

    public bool IsOption => !Quoted && Text.StartsWith("--", StringComparison.Ordinal);

    public override string ToString() => Quoted ? $"\"{EscapedText.Of(Bytes)}\"" : Text;
}
