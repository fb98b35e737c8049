-- What is written and sent whenever a game is announced, begins or ends.
-- Needs time.lua, journal.lua and channel.lua.

-- A game's status only rises; one that is behind the present status was true once.
local RANKS = { scheduled = 1, live = 2, finished = 3 }

local function set_game(game, title, status, by)
    local shown = '"title":' .. cjson.encode(title) .. ',"status":"' .. status .. '"'
    journal('game', '', 'game', game, 'body', '{' .. shown .. ',"by":"' .. by .. '"}')
    redis.call('HSET', KEY_GAMES, game, '{"id":"' .. game .. '",' .. shown .. '}')
    publish('game_changed', game, '', shown)
end
