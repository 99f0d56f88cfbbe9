using Regatta.Protocol.Sessions;

namespace Regatta.Node;

/// <summary>The tokens that have been read lately, by their text: a session that sees nothing new sends the same again and again. Of a fixed size; thread-safe.</summary>
internal sealed class ParsedTokens
{
    private const int Slots = 1024;

    private readonly Slot?[] _slots = new Slot?[Slots];

    public SessionToken? Find(string? text) =>
        text is not null && Volatile.Read(ref _slots[IndexOf(text)]) is { } slot && slot.Text == text ? slot.Token : null;

    public void Keep(string? text, SessionToken token)
    {
        if (text is { Length: > 0 and <= SessionToken.MaxLength })
            Volatile.Write(ref _slots[IndexOf(text)], new Slot(text, token));
    }

    private static int IndexOf(string text) => text.GetHashCode(StringComparison.Ordinal) & (Slots - 1);

    private sealed record Slot(string Text, SessionToken Token);
}
