namespace Regatta.Storage;

/// <summary>Room on the disk that holds a path.</summary>
public static class FreeSpace
{
    /// <summary>
    /// Bytes that this process may still write to the file system of <paramref name="path"/> (without what is reserved for root).
    /// The path must exist. Thread-safe; one system call.
    /// </summary>
    /// <exception cref="IOException">The path does not exist or its file system cannot be asked.</exception>
    public static long BytesAvailable(string path)
    {
        string full = Path.GetFullPath(path);
        if (!Path.Exists(full)) throw new DirectoryNotFoundException($"{full} does not exist: its free space cannot be told");
        return new DriveInfo(full).AvailableFreeSpace;
    }
}
