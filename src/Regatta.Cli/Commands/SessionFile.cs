using System.Text;
using Regatta.Client;

namespace Regatta.Cli;

/// <summary>A session that outlives the command: a file with its token, written whenever that has changed.</summary>
internal static class SessionFile
{
    /// <exception cref="CommandException">There is something else in it.</exception>
    public static Session Open(string path)
    {
        try
        {
            return Session.Resume(File.Exists(path) ? File.ReadAllText(path).Trim() : "", token => Write(path, token));
        }
        catch (FormatException e)
        {
            throw CommandException.Usage($"--session: {path} is not a session: {e.Message}", "name another file, or remove it to begin a new session");
        }
    }

    private static void Write(string path, string token)
    {
        using AtomicFile file = new(path);
        file.Stream.Write(Encoding.ASCII.GetBytes(token + "\n"));
        file.Commit();
    }
}
