-- How a conversation reads as text: the twins of `plain_text` and `conversation.render_text` (tests/data holds them
-- together). They are in the database in memory, which all cursors of a connection share.
-- One text is most contents, and costs a fifth of a list that is joined.
CREATE OR REPLACE MACRO memory.content_text(content) AS
    CASE WHEN len(content) = 1 AND content[1]."text" IS NOT NULL THEN content[1]."text"
    ELSE array_to_string(list_transform(content, lambda piece:
        coalesce(piece."text", '[' || piece."type"
            || CASE WHEN piece.uri NOT LIKE 'data:%' THEN ' ' || piece.uri ELSE '' END || ']')), chr(10)) END;

CREATE OR REPLACE MACRO memory.shows_media(messages) AS
    len(list_filter(
        flatten(list_transform(messages, lambda message: message.content)),
        lambda piece: piece."type" IN ('image', 'video'))) > 0;

-- A message of an assistant that is text and nothing else.
CREATE OR REPLACE MACRO memory.is_plain_message(message) AS
    message."role" = 'assistant' AND message.reasoning IS NULL AND coalesce(len(message.tool_calls), 0) = 0
    AND CASE WHEN len(message.content) = 1 THEN coalesce(message.content[1]."type" = 'text', true)
        ELSE len(list_filter(message.content, lambda piece: piece."type" <> 'text')) = 0 END;

CREATE OR REPLACE MACRO memory.is_plain(messages) AS
    len(messages) = 1 AND memory.is_plain_message(messages[1]);

CREATE OR REPLACE MACRO memory.escape_tags(txt) AS
    regexp_replace(
        txt, '<(/?(?:thinking|tool_call|tool_result|system|developer|user|assistant)\b)', '&lt;\1', 'gi');

CREATE OR REPLACE MACRO memory.attribute_text(label, txt) AS
    coalesce(' ' || label || '="'
        || replace(replace(replace(replace(txt, '&', '&amp;'), '"', '&quot;'), '<', '&lt;'), '>', '&gt;') || '"', '');

CREATE OR REPLACE MACRO memory.section_text(tag, speaker, id, txt) AS
    '<' || tag || memory.attribute_text('name', speaker) || memory.attribute_text('id', id) || '>' || chr(10)
    || txt || chr(10) || '</' || tag || '>';

CREATE OR REPLACE MACRO memory.message_sections(message) AS
    CASE WHEN message."role" = 'tool' THEN [memory.section_text('tool_result', message."name", message.tool_call_id,
            memory.escape_tags(memory.content_text(message.content)))]
    ELSE list_concat(
        list_filter([
            memory.section_text('thinking', NULL, NULL, memory.escape_tags(message.reasoning)),
            memory.escape_tags(memory.content_text(message.content))
        ], lambda section: section <> ''),
        list_transform(coalesce(message.tool_calls, []), lambda call:
            memory.section_text('tool_call', call."name", call.id, memory.escape_tags(call.arguments)))
    ) END;

CREATE OR REPLACE MACRO memory.response_text(messages) AS
    CASE WHEN memory.is_plain(messages) THEN memory.content_text(messages[1].content)
    ELSE array_to_string(list_filter(list_transform(messages, lambda message:
        CASE WHEN message."role" IN ('assistant', 'tool')
        THEN array_to_string(memory.message_sections(message), chr(10) || chr(10))
        ELSE memory.section_text(message."role", message."name", NULL,
            array_to_string(memory.message_sections(message), chr(10) || chr(10))) END
    ), lambda section: section <> ''), chr(10) || chr(10)) END;

-- Whether {role, content: text} says all of each message.
CREATE OR REPLACE MACRO memory.is_role_and_text(messages) AS
    len(list_filter(messages, lambda message: NOT (
        message."role" <> 'tool' AND message.reasoning IS NULL AND coalesce(len(message.tool_calls), 0) = 0
        AND message.tool_call_id IS NULL AND message."name" IS NULL AND message.is_target IS NULL
        AND len(message.content) = 1 AND message.content[1]."type" = 'text'
    ))) = 0;

CREATE OR REPLACE MACRO memory.has_images(messages) AS
    len(list_filter(messages, lambda message:
        len(list_filter(message.content, lambda piece: piece."type" = 'image')) > 0)) > 0;
