import QtQuick
import QtQuick.Controls.Basic

// What a control does, for those who wait on it with the mouse or come with the keyboard.
ToolTip {
    id: tip
    required property Item control
    property string words: ""
    parent: control
    visible: words !== "" && control.hovered && !control.down
    delay: 600
    text: words
    y: control.height + 6
    padding: 8
    contentItem: Text {
        text: tip.text
        textFormat: Text.PlainText
        color: "white"
        font.pixelSize: Tokens.tiny
        elide: Text.ElideMiddle
    }
    background: Rectangle { radius: 7; color: Tokens.dark ? "#343849" : "#1b1d29" }
}
