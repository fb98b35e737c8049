-- Tells how the journal stands, as backlog.lua says; reads only.

return standing()
