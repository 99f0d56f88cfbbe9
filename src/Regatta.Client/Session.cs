using Regatta.Protocol.Sessions;

namespace Regatta.Client;

/// <summary>
/// What a session's calls have seen and written: its reads never see less, at whichever node of whichever site (guarantees G3 and G4). Given to the clients of several sites, it follows its holder from one to the other;
/// its token, given to somebody else, makes that one's session see what this one has seen. Thread-safe.
/// </summary>
public sealed class Session
{
    private readonly Lock _gate = new();
    private readonly Action<string>? _changed;
    private SessionToken _seen;

    private Session(SessionToken seen, Action<string>? changed)
    {
        _seen = seen;
        _changed = changed;
    }

    /// <summary>To be kept or passed on; opaque, at most 1 kB. Empty before the first call.</summary>
    public string Token
    {
        get
        {
            lock (_gate)
                return _seen.ToString();
        }
    }

    /// <summary>A session that has seen nothing.</summary>
    public static Session Begin() => new(SessionToken.Empty, changed: null);

    /// <summary>A session that has seen what a token tells.</summary>
    /// <param name="token">What <see cref="Token"/> gave, or empty.</param>
    /// <param name="changed">Is given the token whenever it has changed, by one call at a time; nobody gets on with the session before it returns.</param>
    /// <exception cref="FormatException">It is no token, or was made by a version that this one does not read.</exception>
    public static Session Resume(string token, Action<string>? changed = null) => SessionToken.TryParse(token, out SessionToken? seen, out string? problem)
        ? new Session(seen, changed)
        : throw new FormatException($"this is not a session token: {problem}");

    /// <summary>Takes in what a node has given back.</summary>
    /// <param name="replaces">What was sent in a call that was refused: the answer has less of it, and is to be gone on with. Null: nothing is taken back.</param>
    internal void Take(string text, string? replaces)
    {
        if (!SessionToken.TryParse(text, out SessionToken? news, out _))
            return;
        lock (_gate)
        {
            string before = _seen.ToString();
            _seen = replaces == before ? news : _seen.Merge(news);
            string after = _seen.ToString();
            if (after != before)
                _changed?.Invoke(after);
        }
    }
}
